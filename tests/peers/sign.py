"""Signs a user token by the documented rule, with nothing of ferry: sign.py HEXKEY KIND WHAT UID EXPIRES prints the query."""

import base64
import hashlib
import hmac
import sys
from urllib.parse import urlencode

key, kind, what, uid, expires = sys.argv[1:]
text = f"v1\nuser\n{kind}\n{what}\n{uid}\n{expires}".encode()
mac = hmac.new(bytes.fromhex(key), text, hashlib.sha256).digest()
query = {"uid": uid, "expires": expires, "token": base64.urlsafe_b64encode(mac).decode().rstrip("=")}
if kind == "scope":
    query["scope"] = what
print(urlencode(query))
