"""Every error a user can meet: one tree, each class with its stable code, HTTP status, exit code and retry advice.

A message says what happened and what to do about it. `details` carries the same facts for programs: amounts as decimal
strings of atomic units, times as Unix seconds, hashes and addresses as 0x-hex. Nothing secret goes into either.
docs/ERRORS.md lists every class; a test keeps the two in step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

Detail = str | int | bool | None


class TallystickError(Exception):
    """The root. `status` is the HTTP status, `exit_code` the CLI's, `retryable` whether the same request may succeed later."""

    code: ClassVar[str] = "internal_error"
    type: ClassVar[str] = "api_error"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **details: Detail) -> None:
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, Detail] = details

    def body(self) -> dict[str, object]:
        """The error body of every route: OpenAI's four keys, then ours."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.details.get("param"),
                "code": self.code,
                "retryable": self.retryable,
                "details": {key: value for key, value in self.details.items() if key != "param"},
            }
        }


class InternalError(TallystickError):
    """Something that should not happen; the log has it under the id that the message names."""


# ---- set-up: settings, keys, files, ports (exit code 3) ---------------------------------------------------------------


class SetupError(TallystickError):
    type = "setup_error"
    exit_code = 3


class UnknownSetting(SetupError):
    code = "unknown_setting"


class InvalidSetting(SetupError):
    code = "invalid_setting"


class KeyMissing(SetupError):
    code = "key_missing"


class KeyInvalid(SetupError):
    code = "key_invalid"


class PortInUse(SetupError):
    code = "port_in_use"


class ToolMissing(SetupError):
    code = "tool_missing"


class StoreLocked(SetupError):
    code = "store_locked"


class StartFailed(SetupError):
    code = "start_failed"


class StoreMismatch(SetupError):
    code = "store_mismatch"


# ---- the chain (exit code 4) ------------------------------------------------------------------------------------------


class ChainError(TallystickError):
    type = "chain_error"
    status = 503
    exit_code = 4


class ChainUnreachable(ChainError):
    code = "chain_unreachable"
    retryable = True


class WrongChain(ChainError):
    code = "wrong_chain"


class ContractMissing(ChainError):
    code = "contract_missing"


class DeploymentMismatch(ChainError):
    code = "deployment_mismatch"


class DeploymentMissing(ChainError):
    code = "deployment_missing"


class InsufficientFunds(ChainError):
    code = "insufficient_funds"
    status = 402


class FeeTooHigh(ChainError):
    code = "fee_too_high"
    retryable = True


class TransactionUnknown(ChainError):
    """Sent, but not seen on chain in time. Neither success nor failure: look it up by its hash before sending again."""

    code = "transaction_unknown"
    retryable = True


class ContractRefused(ChainError):
    """A contract reverted with one of its typed errors; `name` and `arguments` are the ABI's."""

    code = "contract_refused"
    status = 409

    def __init__(self, message: str, *, name: str, arguments: Mapping[str, Detail]) -> None:
        super().__init__(message, contract_error=name, **arguments)
        self.name = name
        self.arguments = dict(arguments)


# ---- payment (exit code 5) --------------------------------------------------------------------------------------------


class PaymentError(TallystickError):
    type = "payment_error"
    status = 402
    exit_code = 5


class PaymentRequired(PaymentError):
    code = "payment_required"


class PaymentMalformed(PaymentError):
    code = "payment_malformed"
    status = 400


class CallNotOpened(PaymentError):
    """No such call on chain, or not yet deep enough to count."""

    code = "call_not_opened"
    retryable = True


class CallClosed(PaymentError):
    """The call has ended on chain, and this oracle holds no reply for it."""

    code = "call_closed"


class CommitmentMismatch(PaymentError):
    """The payment was made for another request."""

    code = "commitment_mismatch"


class EscrowTooSmall(PaymentError):
    code = "escrow_too_small"


class DeadlineTooClose(PaymentError):
    code = "deadline_too_close"


class WrongOracle(PaymentError):
    code = "wrong_oracle"


class BudgetExceeded(PaymentError):
    """The payer's own limit is below what the call may cost."""

    code = "budget_exceeded"


# ---- the request (exit code 6) ----------------------------------------------------------------------------------------


class RequestError(TallystickError):
    type = "invalid_request_error"
    status = 400
    exit_code = 6


class NotJson(RequestError):
    code = "not_json"


class BodyTooLarge(RequestError):
    code = "body_too_large"
    status = 413


class RequestTimeout(RequestError):
    code = "request_timeout"
    status = 408


class InvalidRequest(RequestError):
    code = "invalid_request"
    status = 422


class EmptyText(RequestError):
    code = "empty_text"
    status = 422


class InputTooLong(RequestError):
    code = "input_too_long"
    status = 422


class UnknownRoute(RequestError):
    code = "unknown_route"
    status = 404


class MethodNotAllowed(RequestError):
    code = "method_not_allowed"
    status = 405


class HostNotAllowed(RequestError):
    code = "host_not_allowed"
    status = 421


class UnknownListing(RequestError):
    code = "unknown_listing"
    status = 404


class UnknownCall(RequestError):
    code = "unknown_call"
    status = 404


class ListingWithdrawn(RequestError):
    code = "listing_withdrawn"
    status = 410


class WrongRevision(RequestError):
    code = "wrong_revision"
    status = 409


class CallInProgress(RequestError):
    """The same request is being worked on; its reply can be fetched by sending it again."""

    code = "call_in_progress"
    status = 409
    retryable = True


class Busy(RequestError):
    code = "busy"
    type = "rate_limit_error"
    status = 429
    retryable = True


class InferenceFailed(TallystickError):
    """The model gave no usable result; nothing is charged and the escrow goes back to the payer."""

    code = "inference_failed"
    type = "inference_error"
    exit_code = 7


class StoreUnavailable(TallystickError):
    """The oracle's store refused a read or write; nothing was charged."""

    code = "store_unavailable"
    type = "store_error"
    status = 503
    retryable = True


# ---- models and their training (exit code 7) --------------------------------------------------------------------------


class ModelError(TallystickError):
    type = "model_error"
    status = 503
    exit_code = 7


class ModelMissing(ModelError):
    code = "model_missing"


class ManifestInvalid(ModelError):
    code = "manifest_invalid"


class ManifestMismatch(ModelError):
    """The manifest is not the one whose hash the revision has on chain."""

    code = "manifest_mismatch"


class ModelFileAltered(ModelError):
    code = "model_file_altered"


class ModelFileForbidden(ModelError):
    """A file that could carry code, or that the manifest does not name."""

    code = "model_file_forbidden"


class ModelMalformed(ModelError):
    code = "model_malformed"


class RecipeInvalid(ModelError):
    code = "recipe_invalid"


class DataInvalid(ModelError):
    code = "data_invalid"


# ---- evidence (exit code 8) -------------------------------------------------------------------------------------------


class EvidenceError(TallystickError):
    type = "evidence_error"
    exit_code = 8


class ReceiptInvalid(EvidenceError):
    """What the oracle returned does not prove what it claims; keep the reply, it is evidence."""

    code = "receipt_invalid"


class ArchiveInvalid(EvidenceError):
    code = "archive_invalid"
