"""What browsers are told about every answer: take types as they are, tell other sites nothing, run and load only what is ours."""

from __future__ import annotations

# Gradio's page has scripts and styles within it and compiles components' scripts, so these cannot be forbidden. Photos from a computer
# are shown from blob: and data: addresses. A Space is shown in a frame of the Hub's page.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self' https://huggingface.co https://*.hf.space",
    )
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
]


def with_security_headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer, together with ours where it has none of its own."""
    known = {name.lower() for name, _ in headers}
    return [*headers, *(each for each in HEADERS if each[0] not in known)]
