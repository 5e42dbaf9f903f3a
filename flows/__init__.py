"""Deployable compositions: one flow a file, recipes beside them."""
