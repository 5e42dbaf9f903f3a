"""Transformers' Trainer as a side of the fine-tuning benchmark."""

import tempfile

from finetuning_side import Case, answer, resident
from torch.utils.data import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)


class Examples(Dataset):
    """Encoded examples."""

    def __init__(self, rows: list[dict]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict:
        return self.rows[index]


def main() -> None:
    """Train on the case that the command line names."""
    case = Case.given()
    before = resident()
    tokenizer = AutoTokenizer.from_pretrained(case.encoder)
    examples = case.split("train", case.examples)
    labels = sorted({example["label"] for example in examples})
    encoded = tokenizer([one["text"] for one in examples], truncation=True, max_length=case.max_length)
    rows = [
        {name: encoded[name][index] for name in encoded} | {"labels": labels.index(one["label"])}
        for index, one in enumerate(examples)
    ]
    set_seed(case.seed)
    model = AutoModelForSequenceClassification.from_pretrained(case.encoder, num_labels=len(labels))
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            use_cpu=True,
            seed=case.seed,
            per_device_train_batch_size=case.batch,
            num_train_epochs=case.epochs,
            learning_rate=case.learning_rate,
            lr_scheduler_type="linear",
            warmup_steps=0.1,
            weight_decay=case.weight_decay,
            max_grad_norm=1.0,
            train_sampling_strategy=case.sampling,
            save_strategy="no",
            logging_steps=10,
            report_to="none",
            disable_tqdm=True,
        )
        collator = DataCollatorWithPadding(tokenizer)
        trainer = Trainer(model, arguments, train_dataset=Examples(rows), data_collator=collator)
        seconds = trainer.train().metrics["train_runtime"]
    answer(case, seconds, before, model, tokenizer, labels)


if __name__ == "__main__":
    main()
