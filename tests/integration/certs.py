"""Authorities and certificates for tests, made with the openssl command."""

import os
import ssl
import subprocess

import harness


def _openssl(*args):
    subprocess.run([harness.tool("openssl"), *args], check=True, capture_output=True)


def _key(path):
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
    os.chmod(path, 0o600)


class Authority:
    """Issues certificates; path is what who believes it needs."""

    def __init__(self, folder, name):
        self.folder, self.name, self.n_issued = folder, name, 0
        self.path, self.key = (os.path.join(folder, f"{name}.{end}") for end in ("pem", "key"))
        _key(self.key)
        _openssl("req", "-x509", "-new", "-key", self.key, "-out", self.path, "-days", "30", "-subj", f"/CN={name}")

    def issue(self, name, hosts):
        """(certificate, key), files named after name. hosts: "DNS:a.example", "IP:127.0.0.1". Issued again it
        takes the place of the old one at once, with the same key."""
        self.n_issued += 1
        cert, key, request, extensions = (os.path.join(self.folder, f"{name}.{end}")
                                          for end in ("pem", "key", "csr", "ext"))
        if not os.path.exists(key):
            _key(key)
        with open(extensions, "w") as file:
            file.write(f"subjectAltName={','.join(hosts)}\n")
        _openssl("req", "-new", "-key", key, "-out", request, "-subj", f"/CN={name}")
        _openssl("x509", "-req", "-in", request, "-CA", self.path, "-CAkey", self.key, "-set_serial",
                 str(1000 + self.n_issued), "-days", "20", "-extfile", extensions, "-out", f"{cert}.new")
        os.replace(f"{cert}.new", cert)
        return cert, key

    def context(self):
        """Of a client that believes this authority alone."""
        return ssl.create_default_context(cafile=self.path)
