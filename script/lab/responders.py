"""Small servers that speak enough of a protocol for nmap's version probe to recognise it.

    responders.py redis,0.0.0.0,6379 https,::,443 dns,::,53 …

One process serves any number of `WHAT,ADDRESS,PORT` listeners (`::` takes IPv4 too), prints `ready` once all of them
listen, and ends when its standard input does, so that it cannot outlive whoever started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import sys
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from pathlib import Path
from typing import TypeVar, cast

T = TypeVar("T")
Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter

# The standard library can use certificates but not make them, so the lab ships one that vouches for nothing.
_TLS = Path(__file__).with_name("tls")
_IDLE = 120.0  # seconds that a connection may stay silent


async def redis(reader: Reader, writer: Writer) -> None:
    """A data store: inline commands and arrays of bulk strings, as far as `INFO` and `PING` go."""
    info = b"# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n"
    while line := await reader.readline():
        words = [line.strip()]
        if line.startswith(b"*") and line[1:].strip().isdigit():
            words = []
            for _ in range(min(int(line[1:]), 16)):
                await reader.readline()
                words.append((await reader.readline()).strip())
        match b" ".join(words).lower().split():
            case []:
                continue
            case [b"info", *_]:
                writer.write(b"$%d\r\n%s\r\n" % (len(info), info))
            case [b"ping"]:
                writer.write(b"+PONG\r\n")
            case [b"get", _]:
                writer.write(b"$-1\r\n")
            case [b"get", *_]:
                writer.write(b"-ERR wrong number of arguments for 'get' command\r\n")
            case [name, *_]:
                writer.write(b"-ERR unknown command '%s'\r\n" % name[:32])


async def ssh(reader: Reader, writer: Writer) -> None:
    """A remote login: the banner, then nothing that a client could use."""
    writer.write(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n")
    await reader.readline()


async def postgres(reader: Reader, writer: Writer) -> None:
    """A database: refuses TLS and every protocol version, in PostgreSQL's own words."""
    while head := await reader.read(8):
        if len(head) < 8:
            return
        _length, version = struct.unpack("!II", head)
        if version == 80877103:  # SSLRequest
            writer.write(b"N")
            continue
        fields = (
            b"SFATAL\0VFATAL\0C0A000\0Munsupported frontend protocol %d.%d: server supports 3.0 to 3.0\0"
            b"Fpostmaster.c\0L2195\0RProcessStartupPacket\0\0" % (version >> 16, version & 0xFFFF)
        )
        writer.write(b"E" + struct.pack("!I", len(fields) + 4) + fields)
        return


def http(server: bytes, pages: dict[bytes, bytes]) -> Callable[[Reader, Writer], Awaitable[None]]:
    """A web server that calls itself `server` and knows `pages`; one request a connection."""

    async def talk(reader: Reader, writer: Writer) -> None:
        writer.write(_answer(await _request(lambda: reader.read(4096)), server, pages))

    return talk


def https(server: bytes, pages: dict[bytes, bytes]) -> Callable[[Reader, Writer], Awaitable[None]]:
    """The same inside TLS. asyncio's own TLS closes without a word where a handshake fails; real servers, and version
    probes that know them, go by the alert."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_TLS / "cert.pem", _TLS / "key.pem")

    async def talk(reader: Reader, writer: Writer) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)

        async def step(operation: Callable[[], T]) -> T:
            while True:
                try:
                    return operation()
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    data = await reader.read(4096)
                    if not data:
                        raise ConnectionResetError from None
                    incoming.write(data)
                finally:
                    writer.write(outgoing.read())

        await step(tls.do_handshake)
        request = await _request(lambda: step(lambda: tls.read(4096)))
        await step(lambda: tls.write(_answer(request, server, pages)))

    return talk


async def _request(receive: Callable[[], Awaitable[bytes]]) -> list[bytes]:
    """The words of the request line, once all of the head is there; at once where it is not HTTP."""
    head = b""
    while data := await receive():
        head += data
        line, newline, _ = head.partition(b"\n")
        words = line.split()
        if newline and (b"\n\r\n" in head or len(words) != 3):
            return words
    return []


def _answer(request: list[bytes], server: bytes, pages: dict[bytes, bytes]) -> bytes:
    if len(request) != 3 or not request[2].startswith(b"HTTP/"):
        return _response(b"400 Bad Request", server, b"400 Bad Request")
    page = pages.get(request[1])
    status, body = (b"200 OK", page) if page is not None else (b"404 Not Found", b"404 page not found\n")
    return _response(status, server, b"" if request[0] == b"HEAD" else body)


def _response(status: bytes, server: bytes, body: bytes) -> bytes:
    kind = b"text/html" if body.startswith(b"<") else b"text/plain"
    head = b"HTTP/1.1 %s\r\nServer: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    return head % (status, server, kind, len(body)) + body


async def exporter(reader: Reader, writer: Writer) -> None:
    """A metrics exporter: `/metrics` and nothing else. Word for word what Go's net/http says, which nmap recognises."""
    request = await _request(lambda: reader.read(4096))
    if len(request) != 3 or not request[2].startswith(b"HTTP/"):
        writer.write(
            b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n400 Bad Request"
        )
        return
    status, more, body = b"404 Not Found", b"X-Content-Type-Options: nosniff\r\n", b"404 page not found\n"
    if request[1] == b"/metrics":
        status, more, body = b"200 OK", b"", _METRICS
    date = formatdate(usegmt=True).encode()
    head = b"HTTP/1.0 %s\r\nContent-Type: text/plain; charset=utf-8\r\n%sDate: %s\r\nContent-Length: %d\r\n\r\n"
    writer.write(head % (status, more, date, len(body)) + body)


async def silent(reader: Reader, _writer: Writer) -> None:
    """Accepts, listens and says nothing."""
    while await reader.read(4096):
        pass


async def odd(reader: Reader, writer: Writer) -> None:
    """Says something that no program knows, whatever it is asked."""
    writer.write(b"\x00\xffhello <script>alert(1)</script>\x1b[31m\r\n")
    await reader.read(4096)


async def smtp(reader: Reader, writer: Writer) -> None:
    """A mail relay: greets, and does as little as it may."""
    writer.write(b"220 relay.example ESMTP Postfix\r\n")
    while line := await reader.readline():
        match line[:4].upper():
            case b"EHLO" | b"HELO":
                writer.write(b"250-relay.example\r\n250 PIPELINING\r\n")
            case b"QUIT":
                writer.write(b"221 2.0.0 Bye\r\n")
                return
            case _:
                writer.write(b"502 5.5.2 Error: command not recognized\r\n")


async def dns_over_tcp(reader: Reader, writer: Writer) -> None:
    """The name server over TCP: each message after its length."""
    while length := await reader.readexactly(2):
        answer = dns(await reader.readexactly(int.from_bytes(length, "big")))
        if answer is not None:
            writer.write(struct.pack("!H", len(answer)) + answer)


_PAGE = b"<!doctype html><html><head><title>%s</title></head><body><h1>%s</h1></body></html>\n"
_METRICS = b"# TYPE node_load1 gauge\nnode_load1 0.21\n# TYPE node_time_seconds gauge\nnode_time_seconds 1.79e+09\n"

TCP: dict[str, Callable[[Reader, Writer], Awaitable[None]]] = {
    "redis": redis,
    "ssh": ssh,
    "postgres": postgres,
    "nginx": http(b"nginx/1.24.0", {b"/": _PAGE % (b"Shop", b"Shop")}),
    "https": https(b"nginx/1.24.0", {b"/": _PAGE % (b"Shop", b"Shop")}),
    "app": http(b"gunicorn/21.2.0", {b"/": _PAGE % (b"Shop backend", b"Shop backend")}),
    "exporter": exporter,
    "smtp": smtp,
    "dns-tcp": dns_over_tcp,
    "silent": silent,
    "odd": odd,
}


def dns(question: bytes) -> bytes | None:
    """A name server: names its version, refuses everything else; silent to what is not a query."""
    if len(question) < 12 or question[2] & 0x80:
        return None
    count = int.from_bytes(question[4:6], "big")
    if b"\x07version\x04bind\x00\x00\x10\x00\x03" in question.lower():
        text = b"dnsmasq-2.90"
        answer = b"\xc0\x0c\x00\x10\x00\x03\x00\x00\x00\x00" + struct.pack("!HB", len(text) + 1, len(text)) + text
        return question[:2] + b"\x85\x80\x00\x01\x00\x01\x00\x00\x00\x00" + question[12:] + answer
    refused = question[:2] + bytes([question[2] | 0x80, 0x85])
    return refused + question[4:6] + bytes(6) + question[12:] if count else refused + bytes(8)


def snmp(question: bytes) -> bytes | None:
    """An agent whose community is `public`: gives back what it is asked for, as a response; silent to all else."""
    head, community, rest = question.partition(b"\x06public")
    return head + community + b"\xa2" + rest[1:] if rest[:1] in (b"\xa0", b"\xa1") else None  # get, get-next


def sip(request: bytes) -> bytes | None:
    """A telephone exchange: answers OPTIONS, silent to what is no request."""
    if not request.startswith(b"OPTIONS sip:"):
        return None
    return b"SIP/2.0 200 OK\r\nServer: Asterisk PBX 20.6.0\r\nAllow: INVITE, ACK, OPTIONS\r\nContent-Length: 0\r\n\r\n"


UDP: dict[str, Callable[[bytes], bytes | None]] = {
    "dns": dns,
    "snmp": snmp,
    "sip": sip,
    "echo": lambda packet: packet or b"?",  # answers everything, an empty datagram too
    "wireguard": lambda _packet: None,  # answers none but its peers
}


class Datagrams(asyncio.DatagramProtocol):
    """Answers each datagram with what `reply` makes of it."""

    def __init__(self, reply: Callable[[bytes], bytes | None]) -> None:
        self.reply = reply

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if answer := self.reply(data):
            self.transport.sendto(answer, addr)


def _serve(talk: Callable[[Reader, Writer], Awaitable[None]]) -> Callable[[Reader, Writer], Awaitable[None]]:
    async def connection(reader: Reader, writer: Writer) -> None:
        with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError, TimeoutError):
            async with asyncio.timeout(_IDLE):
                await talk(reader, writer)
                await writer.drain()
        writer.close()

    return connection


def _bind(kind: socket.SocketKind, address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    if kind == socket.SOCK_STREAM:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address != "::")
    sock.bind((address, port))
    return sock


async def _listen(what: str, address: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    if what in UDP:
        sock = _bind(socket.SOCK_DGRAM, address, port)
        await loop.create_datagram_endpoint(lambda: Datagrams(UDP[what]), sock=sock)
    else:
        sock = _bind(socket.SOCK_STREAM, address, port)
        await asyncio.start_server(_serve(TCP[what]), sock=sock, backlog=4096)


async def main() -> None:
    for listener in sys.argv[1:]:
        what, address, port = listener.rsplit(",", 2)
        await _listen(what, address, int(port))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.buffer.read)


if __name__ == "__main__":
    asyncio.run(main())
