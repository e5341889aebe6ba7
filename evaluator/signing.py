"""Signatures on results: Ed25519 over a canonical form of the JSON document.

The canonical form is the document without its ``signature``, its keys sorted, without spaces, in
UTF-8: whoever has the file and the public key can check it with a dozen lines of any language.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from proctor.schemas.base import Value
from proctor.schemas.grade import Signature

Signed = TypeVar("Signed", bound=Value)
FIELD = "signature"


class Signer:
    """Signs documents with one private key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._name = name_of(key.public_key())

    @classmethod
    def from_file(cls, path: Path) -> "Signer":
        """Read a private key.

        Raises:
            ValueError: The file cannot be read, or holds no Ed25519 private key in PEM, without a
                password.
        """
        try:
            key = load_pem_private_key(path.read_bytes(), None)
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from error
        except (TypeError, ValueError, UnsupportedAlgorithm) as error:
            raise ValueError(f"{path} holds no private key that can be used: {error}") from error
        if isinstance(key, Ed25519PrivateKey):
            return cls(key)
        raise ValueError(f"{path} holds a key of another kind than Ed25519")

    def seal(self, value: Signed) -> Signed:
        """`value` with the signature of all the rest of it."""
        document = value.model_dump(mode="json")
        made = base64.b64encode(self._key.sign(canonical(document))).decode()
        return value.model_copy(update={FIELD: Signature(key=self._name, value=made)})


def public_key(path: Path) -> Ed25519PublicKey:
    """Read a public key.

    Raises:
        ValueError: The file cannot be read, or holds no Ed25519 public key in PEM.
    """
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"{path} holds no public key that can be used: {error}") from error
    if isinstance(key, Ed25519PublicKey):
        return key
    raise ValueError(f"{path} holds a key of another kind than Ed25519")


def signature_problem(document: Mapping[str, Any], key: Ed25519PublicKey) -> str | None:
    """Why the signature of a document does not hold; None where it does."""
    stated = document.get(FIELD)
    if not isinstance(stated, dict):
        return "it is not signed"
    try:
        signature = Signature.model_validate(stated)
        key.verify(base64.b64decode(signature.value, validate=True), canonical(document))
    except (InvalidSignature, ValueError, binascii.Error):
        return f"it was not signed by the key {name_of(key)}, or was changed since"
    return None


def canonical(document: Mapping[str, Any]) -> bytes:
    """What is signed of a document."""
    signed = {name: value for name, value in document.items() if name != FIELD}
    return json.dumps(
        signed, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode("utf-8", "surrogatepass")


def name_of(key: Ed25519PublicKey) -> str:
    """The first 16 hex digits of the SHA-256 of a key's 32 bytes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]
