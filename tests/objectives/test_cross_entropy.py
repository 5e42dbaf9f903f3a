"""The loss worked out in chunks is the plain one, forward and backward."""

import pytest
import torch

from lmtrain.objectives import cross_entropy
from lmtrain.objectives.base import IGNORED
from lmtrain.objectives.cross_entropy import chunked_cross_entropy, summed_cross_entropy

CLASSES, WIDTH = 50, 16


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(cross_entropy, "CHUNK_TOKENS", 7)
    monkeypatch.setattr(cross_entropy, "CHUNK_VALUES", {"cpu": 1})


def values(dtype: torch.dtype, ignored: str = "some") -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(3, 11, WIDTH, dtype=dtype, generator=generator).requires_grad_()
    weight = torch.randn(CLASSES, WIDTH, dtype=dtype, generator=generator).requires_grad_()
    labels = torch.randint(0, CLASSES, (3, 11), generator=generator)
    if ignored != "none":
        labels[0, 3], labels[2] = IGNORED, IGNORED  # a chunk without targets, too
    if ignored == "all":
        labels[:] = IGNORED
    return hidden, weight, labels


def plain(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, z_loss: float) -> torch.Tensor:
    logits = (hidden @ weight.mT).to(torch.promote_types(hidden.dtype, torch.float32))
    normalizers = logits.logsumexp(-1)[labels != IGNORED]
    return summed_cross_entropy(logits, labels) + z_loss * normalizers.square().sum()


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("z_loss", [0.0, 0.01])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4), (torch.bfloat16, 0.05)]
)
@pytest.mark.parametrize("ignored", ["some", "all", "none"])
def test_chunked_loss_is_the_plain_loss_forward_and_gradient(dtype, tolerance, z_loss, ignored):
    expected_of, found_of = values(dtype, ignored), values(dtype, ignored)
    expected = plain(*expected_of, z_loss)
    found = chunked_cross_entropy(*found_of, z_loss=z_loss)
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    (expected * 0.37).backward()
    (found * 0.37).backward()
    for ours, theirs in zip(found_of[:2], expected_of[:2], strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=tolerance, atol=tolerance)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("z_loss", [0.0, 0.01])
def test_in_bf16_they_are_those_of_float32_to_the_rounding_of_bf16(z_loss):
    rounded = values(torch.bfloat16)
    exact_of = [one.detach().float().requires_grad_() for one in rounded[:2]]
    found = chunked_cross_entropy(*rounded, z_loss=z_loss)
    exact = plain(*exact_of, rounded[2], z_loss)
    torch.testing.assert_close(found.float(), exact, rtol=1e-2, atol=0)
    exact.backward()
    found.backward()
    for ours, theirs in zip(rounded[:2], exact_of, strict=True):
        assert ours.grad.dtype == torch.bfloat16
        scale = float(theirs.grad.abs().max())
        torch.testing.assert_close(ours.grad.float(), theirs.grad, rtol=0, atol=2e-2 * scale)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_where_no_label_counts_loss_and_gradients_are_zero(dtype):
    hidden, weight, labels = values(dtype)
    loss = chunked_cross_entropy(hidden, weight, torch.full_like(labels, IGNORED), z_loss=0.01)
    loss.backward()
    assert float(loss.detach()) == 0
    assert not hidden.grad.any()
    assert not weight.grad.any()


@pytest.mark.usefixtures("small_chunks")
def test_without_gradients_the_loss_is_the_same():
    given = values(torch.float64)
    with torch.no_grad():
        assert float(chunked_cross_entropy(*given)) == pytest.approx(float(plain(*given, 0.0)), abs=1e-12)
