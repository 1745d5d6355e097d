"""What lets in: keys, signed addresses, tokens, users, as an operator's own programs would make them."""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import time

import harness

SIGN_KEYS = {"2026a": "first-secret-of-signed-urls", "2026b": "second-secret-of-signed-urls"}
LAL_KEY = "q191201771"
JWT_KEY = b"0123456789abcdef0123456789abcdef"
USER, PASSWORD = "bob", "correct horse"
SECRETS = [*SIGN_KEYS.values(), LAL_KEY, JWT_KEY.decode(), PASSWORD]


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def write_files(folder):
    """Returns the configuration keys that name them."""
    def write(name, text):
        path = os.path.join(folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path
    users = subprocess.run([os.path.join(harness.BIN_DIR, "headwater-tool"), "passwd", USER], input=PASSWORD + "\n",
                           stdout=subprocess.PIPE, text=True, check=True).stdout
    jwks = {"keys": [{"kty": "oct", "kid": "k1", "alg": "HS256", "k": base64url(JWT_KEY)}]}
    return {"access.sign_keys_file": write("sign", "".join(f"{k} {s}\n" for k, s in SIGN_KEYS.items())),
            "access.lal_key_file": write("lal", LAL_KEY + "\n"),
            "access.jwt_keys_file": write("jwks", json.dumps(jwks)),
            "access.users_file": write("users", users)}


def sign(stream, action="play", for_s=600, key="2026a", net="", secret=None):
    expires = str(int(time.time()) + for_s)
    text = f"headwater-url-v1\n{action}\n{stream}\n{expires}\n{net}\n{key}\n"
    mac = hmac.new((secret or SIGN_KEYS[key]).encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"hw_expires={expires}{'&hw_net=' + net.replace('/', '%2F') if net else ''}&hw_key={key}&hw_sign={mac}"


def lal(stream):
    return "lal_secret=" + hashlib.md5((LAL_KEY + stream.rpartition("/")[2]).encode()).hexdigest()


def jwt(stream, actions=("play",), for_s=600, header=None, key=JWT_KEY, **more):
    """header: of the token, to lie in it."""
    parts = [header or {"alg": "HS256", "typ": "JWT"},
             {"exp": int(time.time()) + for_s, "stream": stream, "actions": list(actions), **more}]
    text = ".".join(base64url(json.dumps(part).encode()) for part in parts)
    return f"{text}.{base64url(hmac.new(key, text.encode(), hashlib.sha256).digest())}"


def basic(user=USER, password=PASSWORD):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
