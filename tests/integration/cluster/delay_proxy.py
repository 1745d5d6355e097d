#!/usr/bin/python3
"""A TCP proxy that holds back what passes, each way, for kernels without netem. It cannot delay the handshake of
TCP itself. Says "ready HOST:PORT" when it listens; ends with SIGTERM."""

import asyncio
import sys

PIECE_BYTES, MAX_PIECES = 65536, 4096


async def hold_back(reader, writer, delay_s):
    """Bytes leave delay_s after they came, in order, and so does the end."""
    clock, pieces = asyncio.get_running_loop().time, asyncio.Queue(MAX_PIECES)

    async def take_in():
        data = b"-"
        while data:
            try:
                data = await reader.read(PIECE_BYTES)
            except OSError:
                data = b""
            await pieces.put((clock() + delay_s, data))

    taking = asyncio.ensure_future(take_in())
    try:
        while True:
            due, data = await pieces.get()
            await asyncio.sleep(max(0, due - clock()))
            if not data:
                break
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # the other side is gone: so is this one
    finally:
        taking.cancel()
        writer.close()


async def serve(listen, target, delay_s):
    async def on_client(reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(*target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(hold_back(reader, far_writer, delay_s), hold_back(far_reader, writer, delay_s))

    server = await asyncio.start_server(on_client, *listen)
    print("ready %s:%d" % server.sockets[0].getsockname()[:2], flush=True)
    await server.serve_forever()


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: delay_proxy.py LISTEN_HOST:PORT TARGET_HOST:PORT DELAY_MS")
    addresses = []
    for text in sys.argv[1:3]:
        host, _, port = text.rpartition(":")
        addresses.append((host, int(port)))
    asyncio.run(serve(*addresses, float(sys.argv[3]) / 1000))


if __name__ == "__main__":
    main()
