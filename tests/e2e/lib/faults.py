"""Everything that can be wrong with a responder: rule 29 of the stapling
specification, row by row.  The behaviours are those of lib/responder.py."""


class Fault:
    def __init__(self, name, behaviour, outcome, url=None):
        self.name, self.behaviour, self.outcome, self.url = name, behaviour, outcome, url

    def __repr__(self):
        return self.name.replace(" ", "_")


# name in the table, behaviour of the responder, outcome in the log
ANSWERS = [
    Fault("good", "good", "good"),
    Fault("revoked", "revoked", "revoked"),
    Fault("unknown", "unknown", "unknown"),
]
NO_RESPONDER = Fault("no responder", None, "no_responder", url="")
FAULTS = [
    Fault("connection refused", None, "connection_refused", url="http://127.0.0.1:1/"),
    Fault("connection reset", "reset", "connection_reset"),
    Fault("closed without a response", "close", "connection_reset"),
    Fault("name not found", None, "name_not_found", url="http://no-such-host.invalid/"),
    Fault("no headers come", "hang", "timeout_headers"),
    Fault("the body stops", "body_stall", "timeout_body"),
    Fault("slow drip", "slow_drip", "slow_drip"),
    Fault("HTTP 404", "http_404", "http_4xx"),
    Fault("HTTP 407 of a proxy", "http_407", "proxy_denied"),
    Fault("HTTP 500", "http_500", "http_5xx"),
    Fault("HTTP 503, Retry-After", "retry_after", "http_5xx"),
    Fault("redirect loop", "redirect_loop", "redirect_loop"),
    Fault("redirect to a file", "redirect_file", "redirect_refused"),
    Fault("a web page", "not_ocsp", "not_ocsp"),
    Fault("no HTTP", "no_http", "http_other"),
    Fault("empty 200", "empty", "empty"),
    Fault("shorter than announced", "truncated", "truncated"),
    Fault("truncated DER", "truncated_der", "truncated"),
    Fault("too large", "too_large", "too_large"),
    Fault("endless", "endless", "too_large"),
    Fault("malformed", "malformed", "malformed"),
    Fault("bytes after the DER", "trailing_bytes", "trailing_bytes"),
    Fault("foreign key", "foreign_signer", "wrong_signer"),
    Fault("signed by the leaf", "leaf_signed", "wrong_signer"),
    Fault("signed by a sibling", "sibling", "wrong_signer"),
    Fault("expired delegate", "expired_delegate", "wrong_signer"),
    Fault("bad signature", "bad_signature", "bad_signature"),
    Fault("RSA key of 1024 bits", "weak_key", "weak_signature"),
    Fault("wrong serial", "wrong_serial", "wrong_certificate"),
    Fault("expired", "expired", "expired"),
    Fault("not yet valid", "not_yet_valid", "not_yet_valid"),
    Fault("a time not in DER", "fraction", "malformed"),
    Fault("entries that disagree", "contradictory", "contradictory"),
    Fault("never issued", "never_issued", "unknown"),
    Fault("too large for clients", "too_large_to_staple", "too_large_to_staple"),
    Fault("tryLater", "try_later", "try_later"),
    Fault("internalError", "internal_error", "internal_error"),
    Fault("malformedRequest", "malformed_request", "malformed_request"),
    Fault("sigRequired", "sig_required", "sig_required"),
    Fault("unauthorized", "unauthorized", "unauthorized"),
]
EVERYTHING = [*ANSWERS, NO_RESPONDER, *FAULTS]
