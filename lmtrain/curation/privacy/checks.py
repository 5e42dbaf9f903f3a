"""What a number or address must satisfy beyond its form: checksums, issuers, networks.

Strings without separators come in, verdicts go out. All of them are published
rules; none asks the date or the network, so the same text gives the same verdict.
"""

import ipaddress
from datetime import date

_IBANS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 "
    "EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 "
    "IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 "
    "NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 "
    "SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
)
IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in _IBANS.split()}
"""Characters of an IBAN by country (SWIFT, IBAN registry)."""

PROVINCES = frozenset(
    {11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52, 53, 54}
    | {61, 62, 63, 64, 65, 71, 81, 82, 83}
)
"""First two digits of a Chinese identity number (GB/T 2260, and 83 for residents from Taiwan)."""

_ISSUERS: tuple[tuple[int, int, frozenset[int]], ...] = (
    (4, 4, frozenset({13, 16, 19})),  # Visa
    (51, 55, frozenset({16})),  # Mastercard
    (2221, 2720, frozenset({16})),  # Mastercard
    (34, 34, frozenset({15})),  # American Express
    (37, 37, frozenset({15})),
    (300, 305, frozenset({14, 16})),  # Diners Club
    (36, 36, frozenset({14, 16})),
    (38, 39, frozenset({14, 16})),
    (3528, 3589, frozenset(range(16, 20))),  # JCB
    (6011, 6011, frozenset(range(16, 20))),  # Discover
    (644, 659, frozenset(range(16, 20))),
    (62, 62, frozenset(range(16, 20))),  # UnionPay
    (81, 81, frozenset(range(16, 20))),
    (5018, 5018, frozenset(range(13, 20))),  # Maestro
    (5020, 5020, frozenset(range(13, 20))),
    (5038, 5038, frozenset(range(13, 20))),
    (5893, 5893, frozenset(range(13, 20))),
    (6304, 6304, frozenset(range(13, 20))),
    (6759, 6763, frozenset(range(13, 20))),
)
"""First and last prefix of an issuer's numbers (ISO/IEC 7812), and how long they may be."""

_KEPT_IPV4 = tuple(
    (int(network[0]), int(network[-1]))
    for network in map(
        ipaddress.IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
            *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        ),
    )
)
_KEPT_FIRST = frozenset(n for first, last in _KEPT_IPV4 for n in range(first >> 24, (last >> 24) + 1))
_UNICAST_IPV6 = ipaddress.IPv6Network("2000::/3")
_KEPT_IPV6 = tuple(
    ipaddress.IPv6Network(network)
    for network in ("2001:2::/48", "2001:10::/28", "2001:20::/28", "2001:db8::/32", "3fff::/20")
)


def luhn(digits: str) -> bool:
    """Tell whether the last digit is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def is_payment_card(digits: str) -> bool:
    """Tell whether a number of 13 to 19 digits is one that a card issuer gives out.

    A number of 13 digits that is as well a valid article number (EAN-13, which
    begins with 4 in Germany and Japan) is taken for that: Visa has issued
    none so short for decades.
    """
    issued = any(
        first <= int(digits[: len(str(first))]) <= last and len(digits) in lengths
        for first, last, lengths in _ISSUERS
    )
    article = len(digits) == 13 and (sum(map(int, digits[::2])) + 3 * sum(map(int, digits[1::2]))) % 10 == 0
    return issued and luhn(digits) and not article and len(set(digits)) > 1


def is_chinese_id(number: str) -> bool:
    """Tell whether 18 characters are a Chinese identity number (GB 11643-1999).

    The province exists, the birth date is a day of the calendar, and the last
    character is the check character of ISO 7064 MOD 11-2.
    """
    if int(number[:2]) not in PROVINCES:
        return False
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    total = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(number[:17]))
    return "10X98765432"[total % 11] == number[17].upper()


def is_old_chinese_id(number: str) -> bool:
    """Tell whether 15 digits may be a Chinese identity number as given out until 1999 (GB 11643-1989).

    Province and prefecture may exist (GB/T 2260 numbers prefectures up to 70, and
    90 for counties without one), the birth date is a day of the twentieth century,
    and the serial number isn't 0. There is no check digit.
    """
    prefecture = int(number[2:4])
    if int(number[:2]) not in PROVINCES or not (1 <= prefecture <= 70 or prefecture == 90):
        return False
    try:
        date(1900 + int(number[6:8]), int(number[8:10]), int(number[10:12]))
    except ValueError:
        return False
    return number[12:] != "000"


def is_iban(account: str) -> bool:
    """Tell whether an account number has its country's length and is 1 modulo 97 (ISO 13616)."""
    if IBAN_LENGTHS.get(account[:2]) != len(account):
        return False
    return int("".join(str(int(sign, 36)) for sign in account[4:] + account[:4])) % 97 == 1


def is_public_ipv4(address: str) -> bool:
    """Tell whether four numbers up to 255, joined by dots, may be the address of somebody's host.

    Kept are IANA's special purposes: private, loopback, link-local, shared,
    documentation, benchmarking, reserved; and multicast, which is nobody's host.
    """
    numbers = [int(number) for number in address.split(".")]
    if numbers[0] not in _KEPT_FIRST:
        return True
    number = int.from_bytes(numbers, "big")
    return not any(first <= number <= last for first, last in _KEPT_IPV4)


def is_public_ipv6(address: str) -> bool:
    """Tell whether an address is global unicast (2000::/3), and not for documentation or benchmarks."""
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return parsed in _UNICAST_IPV6 and not any(parsed in network for network in _KEPT_IPV6)
