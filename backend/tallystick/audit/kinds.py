"""The catalogue of findings, one class for each area of rules: what each means, and for whom."""

from __future__ import annotations

from enum import unique

from tallystick.audit.findings import Kind, Severity

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


@unique
class ChainKind(Kind):
    """The node's answers and the order of the logs."""

    LOG_UNDECODABLE = (
        ERROR,
        "The node returned a log that these contracts can't write: it is broken or lies. Nothing further was audited.",
    )
    LOG_OUT_OF_PLACE = (
        ERROR,
        "A log came twice, out of order or from outside the audited blocks: the node is broken or lies.",
    )
    LOG_BLOCK_MISMATCH = (
        ERROR,
        "A log is not from the block that the chain has at its number: it was invented, or its fork was abandoned.",
    )
    LOG_UNEXPLAINED = ERROR, "The auditor has no rule for this event and can't vouch for what follows it."
    LOG_HIDDEN = (
        ERROR,
        "The contract knows a call whose opening the node does not show: logs are kept from the auditor.",
    )
    BLOCK_CHANGED = (
        ERROR,
        "The audited block was replaced while the audit ran, so it mixes two histories. Audit again, further back.",
    )
    SETTINGS_DIFFER = ERROR, "The escrow reads another catalogue, or may lock funds for longer, than payers were told."


@unique
class ListingKind(Kind):
    """The catalogue: listings, their owners and revisions."""

    LISTING_OUT_OF_SEQUENCE = (
        ERROR,
        "Listing ids do not count up from 1: a listing was published twice, or a log is missing.",
    )
    LISTING_INCOMPLETE = (
        ERROR,
        "A listing was published without its owner or its first revision: nobody earns, or nothing is for sale.",
    )
    LISTING_UNKNOWN = (
        ERROR,
        "Something refers to a listing that was never published, or whose publication the node hides.",
    )
    ORACLE_EMPTY = ERROR, "A revision has the zero address as its oracle: nobody can answer its calls."
    REVISION_INCONSISTENT = (
        ERROR,
        "The oracle by which a revision is searched differs from its terms: that oracle won't find it.",
    )
    OWNER_MISMATCH = (
        ERROR,
        "A listing passed on from somebody who did not hold it: earnings may go to the wrong wallet.",
    )
    LISTING_BURNED = ERROR, "A listing was sent to nobody: what it earns is lost."
    SALE_STATE_UNCHANGED = (
        ERROR,
        "A listing was taken off sale or put back on sale twice in a row: a log in between is missing.",
    )
    REVISION_REWRITTEN = (
        ERROR,
        "A revision was written a second time: payers who pinned it may get another model or price (rule M9).",
    )
    REVISION_SKIPPED = ERROR, "A listing's revisions do not count up by one: a revision's log is missing."
    MANIFEST_EMPTY = ERROR, "A revision names no model: its manifest hash is zero."


@unique
class CallKind(Kind):
    """Direct calls, from their opening to their one ending."""

    CALL_ID_MISMATCH = (
        ERROR,
        "A call's id is not the digest of its terms: the payer's funds are bound to terms that are not shown.",
    )
    OPENING_INCONSISTENT = (
        ERROR,
        "The fields by which an opening is searched differ from its terms: its payer or owner won't find it.",
    )
    CALL_OPENED_TWICE = ERROR, "One call was opened more than once; the payer may have paid twice."
    OPENED_WHILE_PAUSED = ERROR, "A call was opened while openings were stopped (rule M7)."
    OPENED_OFF_SALE = ERROR, "A call was opened for a listing that its owner had taken off sale."
    OPENED_WRONG_REVISION = (
        ERROR,
        "A call pins a revision that was not for sale: the payer gets another model or price than was offered.",
    )
    OPENED_WRONG_ORACLE = ERROR, "A call names an oracle that did not run its listing."
    OPENED_WRONG_ASSET = ERROR, "A call is paid in an asset that its revision is not priced in."
    COMMITMENT_EMPTY = (
        ERROR,
        "A call is bound to no request: the oracle could answer any other and charge for it (rule S2).",
    )
    DEADLINE_OUT_OF_RANGE = (
        ERROR,
        "A call's deadline was over when it was opened, or locks the payer's funds for longer than allowed.",
    )
    CALL_UNKNOWN = ERROR, "Something refers to a call that was never opened, or whose opening the node hides."
    CALL_LOGGED_TWICE = ERROR, "One call was logged more than once (rule M3)."
    CALL_ENDED_TWICE = ERROR, "One call ended more than once: somebody is paid out of the funds of others (rule M3)."
    LOG_MODE_UNSUPPORTED = ERROR, "A call was logged as paid in a way that these contracts don't have."
    SETTLEMENT_UNCHECKED = (
        NOTE,
        "Calls that were charged to channels, keys or credits are accounted for as sums only: their prices, limits and "
        "receipts are unchecked.",
    )
    LOG_CONTRADICTS_TERMS = ERROR, "A call's public log differs from the terms that its payer opened it with (rule E1)."
    RESULT_EMPTY = ERROR, "The payer was charged without a result (rule M4)."
    CHARGE_ABOVE_ESCROW = ERROR, "The payer was charged more than was escrowed for the call (rule M3)."
    CHARGE_ABOVE_PRICE = (
        ERROR,
        "The payer was charged more than the pinned price sheet gives for the posted units (rule M3).",
    )
    FULFILLED_LATE = ERROR, "The oracle charged after the deadline, when the payer could count on a refund (rule M4)."
    LOG_WITHOUT_FULFILMENT = (
        ERROR,
        "A call was logged, but nobody was paid for it in that transaction: half of its evidence is missing.",
    )
    FULFILMENT_WITHOUT_LOG = ERROR, "The payer was charged without the call's public log (rule E1)."
    WRONG_EARNER = ERROR, "A charge was credited to somebody who did not hold the listing at that moment."
    REFUND_WRONG = ERROR, "The payer's refund is not what was escrowed less what was charged."
    REFUND_WRONG_PAYER = ERROR, "A payer's escrow was credited to somebody else."
    REFUNDED_EARLY = (
        ERROR,
        "A call was refunded while its oracle still had time: the oracle may have worked for nothing.",
    )
    DIGEST_EMPTY = WARNING, "No receipt was anchored for a charge: the payer's half can't be tied to the chain."


@unique
class MoneyKind(Kind):
    """Books, withdrawals, and what the contract says of itself."""

    WITHDRAWAL_EMPTY = ERROR, "A withdrawal of nothing was logged."
    WITHDRAWAL_ABOVE_OWED = ERROR, "An account took more than it was owed: the difference belongs to others (rule M1)."
    WITHDRAWAL_BELOW_OWED = ERROR, "An account got less than it was owed; a withdrawal pays out everything."
    BOOKS_UNBALANCED = ERROR, "What is owed and escrowed is not what was paid in less what was paid out (rule M1)."
    BALANCE_SHORT = ERROR, "The escrow holds less than it owes: not everybody can be paid (rule M1)."
    BALANCE_SURPLUS = (
        NOTE,
        "The escrow holds more than it owes. Anybody can force ether into a contract, and nobody can take it out again. "
        "A node that hides the openings of calls would look the same; asking a second node rules that out.",
    )
    BALANCE_UNREADABLE = (
        WARNING,
        "A token does not tell what the escrow holds of it: whether everybody can be paid in it is unknown.",
    )
    SPLIT_WRONG = (
        ERROR,
        "An earning was divided otherwise than the fee of the call's opening and the revision's share say.",
    )
    SPLIT_MISSING = ERROR, "The collector's or the oracle's part of an earning was kept from them."
    FEE_TOO_HIGH = ERROR, "The protocol's fee was set above the cap that the escrow has for ever."
    ACCOUNT_UNKNOWN = (
        ERROR,
        "Money moved on a channel or on credits that were never opened or bought, or whose opening the node hides.",
    )
    ACCOUNT_OVERDRAWN = (
        ERROR,
        "More left a channel or a credit position than was paid in: it belongs to others (rule M3).",
    )
    OWED_DIFFERS = ERROR, "The contract owes an account another amount than history gives: money was lost or made up."
    CALL_STATE_DIFFERS = (
        ERROR,
        "The contract has a call in another state than history gives: logs are missing or altered.",
    )
    LISTING_DIFFERS = ERROR, "The contract shows another listing than history gives: logs are missing or altered."
    LISTING_COUNT_DIFFERS = (
        ERROR,
        "The contract counts other listings than were published: logs are missing or made up.",
    )
    REVISION_DIFFERS = (
        ERROR,
        "The contract holds a revision otherwise than it was published: a pinned model or price changed (rule M9).",
    )


@unique
class ReceiptKind(Kind):
    """The payer's half of the tally against the public half."""

    RECEIPT_SIGNATURE_INVALID = ERROR, "This receipt has no valid signature: it proves nothing, against nobody."
    RECEIPT_WRONG_SIGNER = (
        ERROR,
        "This receipt is not signed by its call's oracle: it proves nothing against that oracle.",
    )
    RECEIPT_CONTRADICTS_CHAIN = (
        ERROR,
        "The oracle signed one thing for the payer, and another stands on chain (rule E3).",
    )
    RECEIPT_WRONG_MANIFEST = ERROR, "The oracle signed that it ran another model than the pinned revision names."
    RECEIPT_NOT_ANCHORED = ERROR, "The digest on chain is not that of the payer's receipt: another one was anchored."
    RECEIPT_OVERCHARGES = (
        ERROR,
        "The oracle signed a charge above the call's escrow or the price of its units (rule M3).",
    )
    RECEIPT_AFTER_POSTING = (
        ERROR,
        "The receipt was issued after the charge: until then the payer held no proof (rule E3).",
    )
    RECEIPT_BEFORE_OPENING = (
        WARNING,
        "The receipt's time lies before the call's opening: the oracle's clock lags behind the chain's, or it is made up.",
    )
    RECEIPT_PENDING = NOTE, "The call is open and its oracle still has time to post it; audit again after the deadline."
    RECEIPT_WITHOUT_LOG = (
        ERROR,
        "The oracle signed a receipt and never posted it: what was served is not what was logged.",
    )
    RECEIPT_WITHOUT_CALL = ERROR, "This receipt is for a call that nobody opened."
    RECEIPT_AFTER_AUDIT = NOTE, "The receipt's call was opened after the audited block; audit a later one."
    RECEIPT_MISSING = NOTE, "The archives hold no receipt for this call of one of their payers: one half stands alone."
    ARCHIVE_CUT_OFF = NOTE, "An archive's last line was not written to its end: its receipt can be fetched again."
    EQUIVOCATION = ERROR, "The oracle signed two different receipts for one call; both together prove it to anybody."


@unique
class DisclosureKind(Kind):
    """Calls laid open, and the model run again."""

    DISCLOSURE_DOES_NOT_OPEN = ERROR, "What was disclosed is not what the receipt's hashes stand for."
    DISCLOSURE_OTHER_REQUEST = (
        ERROR,
        "The disclosed request is for another listing or revision than was paid (rule S2).",
    )
    RESULT_OFF_GRID = ERROR, "The result's numbers are finer than the grid that results are written on (rule E5)."
    RERUN_DIFFERS = ERROR, "The pinned model gives another result than the payer was sold."
    RERUN_UNITS_DIFFER = ERROR, "The pinned model counts other tokens than the payer was charged for."
    RERUN_IMPOSSIBLE = WARNING, "The auditor could not run the model again: the disclosed result is unchecked."
    COMPUTE_TIME_UNCHECKED = (
        NOTE,
        "Compute time is the oracle's word: a re-run takes its own time and can't confirm it.",
    )


CATALOGUE: tuple[type[Kind], ...] = (ChainKind, ListingKind, CallKind, MoneyKind, ReceiptKind, DisclosureKind)
"""Every area, in the order in which an audit comes to it."""
