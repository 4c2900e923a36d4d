"""Who may do what on the test server with keys: a key names a user, who sees only threads of its own.

``$TEST_KEYS`` names a JSON file that says whose a key is and what that user may not do, such as ``threads.delete``; it
is read for every request, so a key counts from when it is written there until it is taken out.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict

from langgraph_sdk import Auth

auth = Auth()


@auth.authenticate
async def _user_of(headers: Dict[bytes, bytes]) -> Dict[str, Any]:
    key = headers.get(b"x-api-key", b"").decode("latin-1")
    if not key:
        raise Auth.exceptions.HTTPException(status_code=401, detail="no key was sent")
    user = json.loads(Path(os.environ["TEST_KEYS"]).read_text()).get(key)
    if user is None:
        raise Auth.exceptions.HTTPException(status_code=401, detail="nobody has this key")
    if "everything" in user["denied"]:
        raise Auth.exceptions.HTTPException(status_code=403, detail=f"{user['name']} is locked out")
    return {"identity": user["name"], "denied": user["denied"]}


@auth.on
async def _own(ctx: Auth.types.AuthContext, value: Any) -> Any:
    action = f"{ctx.resource}.{ctx.action}"
    if action in ctx.user["denied"]:
        raise Auth.exceptions.HTTPException(status_code=403, detail=f"{ctx.user.identity} has no right to {action}")
    if ctx.resource in ("assistants", "store"):
        return None
    if ctx.action in ("create", "create_run"):
        value.setdefault("metadata", {})["owner"] = ctx.user.identity
    return {"owner": ctx.user.identity}
