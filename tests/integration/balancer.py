"""A load balancer on loopback that says in the PROXY protocol who its client is: the client's real address, or
one that a test makes up. It connects from an address of 127.0.0.0/8 of its own, so that a server can tell it
from others on the same machine."""

import ipaddress
import socket
import struct
import threading

import harness

TRUSTED = "127.0.0.2"    # what tests put into trusted_proxies
STRANGER = "127.0.0.77"  # who is not in it
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(client, port=40112):
    family = "TCP6" if ":" in client else "TCP4"
    server = "2001:db8::1" if ":" in client else "198.51.100.1"
    return f"PROXY {family} {client} {server} {port} 1935\r\n".encode()


def v2(client, port=40112, tlvs=b"\x04\0\x03abc"):
    """With a TLV behind the addresses, as clouds send them."""
    address = ipaddress.ip_address(client)
    server = ipaddress.ip_address("2001:db8::1" if address.version == 6 else "198.51.100.1")
    block = address.packed + server.packed + struct.pack(">HH", port, 1935) + tlvs
    return SIGNATURE + bytes([0x21, 0x21 if address.version == 6 else 0x11]) + struct.pack(">H", len(block)) + block


LOCAL = SIGNATURE + b"\x20\0\0\0"


def connect(address, source=TRUSTED, data=b"", timeout_s=10):
    """A socket from that source address, which has said data."""
    sock = socket.create_connection(address, timeout_s, source_address=(source, 0))
    sock.sendall(data)
    return sock


class Balancer:
    """header: what is said before the client's first byte, a piece at a time."""

    def __init__(self, target, header, source=TRUSTED, pieces=1):
        self.target, self.header, self.source, self.pieces = target, header, source, pieces
        self.listener = harness.Listener(self._serve)
        self.address = ("127.0.0.1", self.listener.port)

    def _serve(self, client):
        try:
            server = connect(self.target, self.source)
        except OSError:
            client.close()
            return
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        size = -(-len(self.header) // self.pieces)
        for at in range(0, len(self.header), size):
            server.sendall(self.header[at:at + size])
        server.settimeout(None)
        threading.Thread(target=self._pipe, args=(client, server), daemon=True).start()
        self._pipe(server, client)

    @staticmethod
    def _pipe(source, sink):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for sock in (source, sink):
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def close(self):
        self.listener.close()
