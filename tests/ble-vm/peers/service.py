"""The lock's service (docs/PROTOCOL.md section 14)."""

from bumble.core import UUID

SERVICE = UUID("3b6dd380-75d6-45e2-9355-c17766a66a01")
TO_LOCK = UUID("3b6dd381-75d6-45e2-9355-c17766a66a01")
TO_PHONE = UUID("3b6dd382-75d6-45e2-9355-c17766a66a01")
