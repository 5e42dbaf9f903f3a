"""Personal data: found, and replaced, reported, or a reason to drop the document.

In: a text and a `config.PrivacyConfig`. Out: what stands where (`finding.find`),
or the text as it is kept, with counts (`treatment.treat`).

| kind | what | placeholder |
|---|---|---|
| `api_key` | cloud, code hosts, package indexes, Slack, Stripe, model providers, JWT, PEM | `<API_KEY>` |
| `email` | addresses, also at `[1.2.3.4]` and spelled out, `joe (at) example.com` | `<EMAIL>` |
| `iban` | by country and checksum, in capital or small letters | `<IBAN>` |
| `chinese_id` | 18 characters, by province, birth date, checksum; the old 15 without | `<CHINESE_ID>` |
| `card` | payment cards of 13 to 19 digits, by issuer and checksum | `<CARD>` |
| `ip` | public IPv4 and IPv6 | `<IP>` |
| `phone` | international, Chinese, North American, other national ones; what a word calls one | `<PHONE>` |
"""
