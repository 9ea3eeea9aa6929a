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

    def __str__(self) -> str:
        """The message as it is now: whoever passes an error on may have added to it."""
        return self.message

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

    code = "internal_error"
    retryable = True


# ---- set-up: settings, keys, files, ports (exit code 3) ---------------------------------------------------------------


class SetupError(TallystickError):
    type = "setup_error"
    exit_code = 3


class UnknownSetting(SetupError):
    """A key of the configuration file, or a TALLYSTICK_ variable, that is no setting."""

    code = "unknown_setting"


class InvalidSetting(SetupError):
    """A setting or an option whose value can't be used."""

    code = "invalid_setting"


class KeyMissing(SetupError):
    """Something has to be signed, and no key was given, or no password for it."""

    code = "key_missing"


class KeyInvalid(SetupError):
    """The key can't be used: malformed, a wrong password, or a development key off the development chain."""

    code = "key_invalid"


class PortInUse(SetupError):
    """Another process listens on the port that was asked for."""

    code = "port_in_use"


class ToolMissing(SetupError):
    """A program or package that this needs is not installed."""

    code = "tool_missing"


class StoreLocked(SetupError):
    """Another oracle process works with the same state folder."""

    code = "store_locked"


class FileUnusable(SetupError):
    """A file or folder that is needed can't be read or written."""

    code = "file_unusable"


class StartFailed(SetupError):
    """A part of the marketplace did not come up."""

    code = "start_failed"


class StoreMismatch(SetupError):
    """The oracle's store belongs to another deployment or to another oracle key."""

    code = "store_mismatch"


# ---- the chain and the way to an oracle (exit code 4) -----------------------------------------------------------------


class ChainError(TallystickError):
    type = "chain_error"
    status = 503
    exit_code = 4


class ChainUnreachable(ChainError):
    """The node gives no usable answer. Nothing is known, so nothing is served and nothing is charged."""

    code = "chain_unreachable"
    retryable = True


class NodeError(ChainUnreachable):
    """The node answered, but with an error of its own: nothing is known about what was asked."""

    code = "node_error"


class WrongChain(ChainError):
    """The node serves another chain than the one that the contracts were deployed on."""

    code = "wrong_chain"


class ContractMissing(ChainError):
    """There is no code where the deployment file says that a contract is."""

    code = "contract_missing"


class DeploymentMismatch(ChainError):
    """The deployment file, the chain and this software do not belong together."""

    code = "deployment_mismatch"


class DeploymentMissing(ChainError):
    """There is no deployment file where the settings say."""

    code = "deployment_missing"


class InsufficientFunds(ChainError):
    """The sending account has too little of the native asset for the amount and its gas."""

    code = "insufficient_funds"
    status = 402


class FeeTooHigh(ChainError):
    """The chain asks for a higher fee than the settings allow; it is posted once the fee has fallen."""

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


class UndecodableLog(ChainError):
    """A log at one of our addresses that the ABI does not explain; an honest deployment has none."""

    code = "undecodable_log"


class BlockOutOfRange(ChainError):
    """The block to audit is one that the chain does not have yet, or from before the contracts."""

    code = "block_out_of_range"


class OracleConnectionError(TallystickError):
    type = "connection_error"
    status = 503
    exit_code = 4


class OracleUnreachable(OracleConnectionError):
    """No answer from the oracle. A call that is open stays open: the answer can be fetched, or the escrow refunded."""

    code = "oracle_unreachable"
    retryable = True


class OracleAnswerInvalid(OracleConnectionError):
    """What answered is no oracle of ours, or a proxy in between."""

    code = "oracle_answer_invalid"
    status = 502


# ---- payment (exit code 5) --------------------------------------------------------------------------------------------


class PaymentError(TallystickError):
    type = "payment_error"
    status = 402
    exit_code = 5


class PaymentRequired(PaymentError):
    """The request is not paid. The details say what to escrow, where, and for which oracle."""

    code = "payment_required"


class PaymentMalformed(PaymentError):
    """The Tallystick-Payment header can't be read."""

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
    """The call escrows less than the request can cost, or another asset."""

    code = "escrow_too_small"


class DeadlineTooClose(PaymentError):
    """Too little time is left before the call's deadline to serve it."""

    code = "deadline_too_close"


class WrongOracle(PaymentError):
    """The call was opened for another oracle, or the oracle asked is not the listing's."""

    code = "wrong_oracle"


class QuoteTooHigh(PaymentError):
    """The oracle asks for more than any honest run of this request could cost by the price sheet on chain."""

    code = "quote_too_high"


class BudgetExceeded(PaymentError):
    """The payer's own limit is below what the call may cost."""

    code = "budget_exceeded"


# ---- the request (exit code 6) ----------------------------------------------------------------------------------------


class RequestError(TallystickError):
    type = "invalid_request_error"
    status = 400
    exit_code = 6


class NotJson(RequestError):
    """The body is no JSON that has one reading: not UTF-8, malformed, a key twice, too deep, a number too large."""

    code = "not_json"


class BodyTooLarge(RequestError):
    """The request's body is larger than the oracle reads."""

    code = "body_too_large"
    status = 413


class RequestTimeout(RequestError):
    """The request did not arrive in time."""

    code = "request_timeout"
    status = 408
    retryable = True


class InvalidRequest(RequestError):
    """A field or parameter is missing, unknown, or has a value that it can't have; `param` names it."""

    code = "invalid_request"
    status = 422


class EmptyText(RequestError):
    """The input holds nothing that the model could read."""

    code = "empty_text"
    status = 422


class InputTooLong(RequestError):
    """The input is longer than the model reads; it is never cut."""

    code = "input_too_long"
    status = 422


class UnknownRoute(RequestError):
    """The oracle has no such route."""

    code = "unknown_route"
    status = 404


class MethodNotAllowed(RequestError):
    """The route does not take this method."""

    code = "method_not_allowed"
    status = 405


class MalformedHttp(RequestError):
    """What arrived is no HTTP request that can be read."""

    code = "malformed_http"


class HeadersTooLarge(RequestError):
    """The request's headers are larger than the oracle reads."""

    code = "headers_too_large"
    status = 431


class HostNotAllowed(RequestError):
    """The request names a host that is not one of the oracle's (a guard against DNS rebinding)."""

    code = "host_not_allowed"
    status = 421


class UnknownListing(RequestError):
    """There is no such listing, or this oracle does not run it."""

    code = "unknown_listing"
    status = 404


class UnknownCall(RequestError):
    """There is no such call here."""

    code = "unknown_call"
    status = 404


class ListingWithdrawn(RequestError):
    """The owner took the listing off sale. Calls that are open are still served."""

    code = "listing_withdrawn"
    status = 410


class WrongRevision(RequestError):
    """The listing has no such revision."""

    code = "wrong_revision"
    status = 409


class CallInProgress(RequestError):
    """The same request is being worked on; its reply can be fetched by sending it again."""

    code = "call_in_progress"
    status = 409
    retryable = True


class Busy(RequestError):
    """The oracle works on as many requests as it can; it refuses one more rather than queue it without bound."""

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
    """The model of a listing, or a file of it, is not on this machine."""

    code = "model_missing"


class ManifestInvalid(ModelError):
    """The manifest of a model folder is missing a field or has one that it can't have."""

    code = "manifest_invalid"


class ManifestMismatch(ModelError):
    """The manifest is not the one whose hash the revision has on chain."""

    code = "manifest_mismatch"


class ModelFileAltered(ModelError):
    """A model file is not the one that the manifest names: size or SHA-256 differ."""

    code = "model_file_altered"


class ModelFileForbidden(ModelError):
    """A file that could carry code, or that the manifest does not name."""

    code = "model_file_forbidden"


class ModelMalformed(ModelError):
    """A model file can't be read as what it should be."""

    code = "model_malformed"


class RecipeInvalid(ModelError):
    """A training recipe has an unknown, missing or unusable value."""

    code = "recipe_invalid"


class DataInvalid(ModelError):
    """A training set can't be used."""

    code = "data_invalid"


# ---- evidence (exit code 8) -------------------------------------------------------------------------------------------


class EvidenceError(TallystickError):
    type = "evidence_error"
    exit_code = 8


class ReceiptInvalid(EvidenceError):
    """What the oracle returned does not prove what it claims; keep the reply, it is evidence."""

    code = "receipt_invalid"


class ArchiveInvalid(EvidenceError):
    """A receipt archive, or a pending call kept on disk, can't be read."""

    code = "archive_invalid"
