#!/usr/bin/env python3
"""A client of final/PROTOCOL.md in Python's standard library, with the JSON codec.

As a program:

    client.py [-t SECONDS] [-m KEY=VALUE]... ADDR METHOD [JSON]
    client.py 127.0.0.1:7000 Inventory.CheckStock '{"Item":"item1"}'
    client.py unix:/run/shop.sock Inventory.List

It prints the result as JSON and ends with 0; an error goes to standard error
and ends it with 1; a wrong command line ends it with 2.

As a module:

    with client.Client("127.0.0.1:7000") as c:
        stock = c.call("Inventory.CheckStock", {"Item": "item1"}, timeout=1.5)
        pending = c.start("Inventory.List")       # many calls in flight
        pending.cancel()                          # or pending.result()

Every failure is an RPCError. A Client may be used by many threads. It does less
than the Go client: it connects once (when the connection is lost, make another
Client), it never tries a call again, it sends no keepalive pings, and a server
that does not read holds up all callers, since they write under one lock.
"""

import argparse
import json
import socket
import struct
import sys
import threading
import time

MAGIC = b"\x93RPC"
VERSION = 1
REQUEST, RESPONSE, ERROR, CANCEL, PING, PONG, GO_AWAY = range(1, 8)
PAIRS, RESTART, SELF_CONTAINED, NEVER_RAN = 1, 2, 4, 8
FLAGS = {RESPONSE: RESTART | SELF_CONTAINED, ERROR: PAIRS | NEVER_RAN, PING: 0, PONG: 0, GO_AWAY: 0}
CODES = (
    "ok canceled unknown invalid_argument deadline_exceeded not_found already_exists "
    "permission_denied resource_exhausted failed_precondition aborted out_of_range "
    "unimplemented internal unavailable data_loss unauthenticated"
).split()


class RPCError(Exception):
    """What went wrong. code is a name from CODES, message is for people, details
    are pairs of text for programs. never_ran: the call was certainly not started,
    so making it again does nothing twice. remote: the server said so."""

    def __init__(self, code, message, details=None, never_ran=False, remote=False):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.details = code, message, details or {}
        self.never_ran, self.remote = never_ran, remote


def code_name(number):
    return CODES[number] if 0 < number < len(CODES) else "unknown"


def one_line(raw):
    """Text from outside, safe to print: UTF-8 without control characters."""
    return "".join(c if c.isprintable() else " " for c in raw.decode("utf-8", "ignore"))


class Fields:
    """The fields of a message, taken off one after the other."""

    def __init__(self, data):
        self.data = data

    def take(self, n):
        if n > len(self.data):
            raise RPCError("invalid_argument", "protocol: fields cut short")
        part, self.data = self.data[:n], self.data[n:]
        return part

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def sized(self):
        return self.take(self.number(2))

    def pairs(self):
        pairs, inner = {}, Fields(self.sized())
        while inner.data:
            key = one_line(inner.sized())
            pairs[key] = one_line(inner.sized())
        return pairs

    def end(self):
        if self.data:
            raise RPCError("invalid_argument", "protocol: bytes after the fields")


def encode_pairs(pairs):
    out = b""
    for key, value in (pairs or {}).items():
        for text in (key.encode(), value.encode()):
            if len(text) > 65535:
                raise RPCError("resource_exhausted", "metadata is too long", never_ran=True)
            out += struct.pack(">H", len(text)) + text
    return out


class Pending:
    """A call in flight."""

    def __init__(self, client, deadline):
        self._client, self._deadline = client, deadline
        self._done = threading.Event()
        self._value, self._error = None, None
        self.id = 0

    def result(self):
        """Waits for the reply, no longer than the call's deadline, and returns its value."""
        left = None if self._deadline is None else self._deadline - time.monotonic()
        if not self._done.wait(left):
            self._client._abandon(self, RPCError("deadline_exceeded", "the time is up"))
        if self._error:
            raise self._error
        return self._value

    def cancel(self):
        """The caller does not wait any more; result raises canceled, unless the reply was first."""
        self._client._abandon(self, RPCError("canceled", "the caller canceled"))

    def _end(self, value=None, error=None):
        self._value, self._error = value, error
        self._done.set()


class Client:
    """One connection. addr is "host:port" or "unix:path"; timeout, in seconds, is for connecting
    and the hello; max_message, in bytes, bounds what is read; tls is an ssl.SSLContext or None."""

    def __init__(self, addr, timeout=10.0, metadata=None, max_message=4 << 20, tls=None):
        self._limit = max_message
        self._lock = threading.Lock()  # guards what follows, and sending: the order of IDs is that of frames
        self._changed = threading.Condition(self._lock)
        self._pending = {}  # by ID; None for a call whose caller has left: it keeps its place until it is answered
        self._pongs = {}
        self._last_id = self._last_ping = 0
        self._gone = None  # why no new calls can be made
        self._ended = False  # nothing comes any more
        self._sock = self._connect(addr, timeout, tls)
        try:
            self._hello(metadata)
        except OSError as e:
            self._sock.close()
            raise RPCError("unavailable", f"hello: {e}", never_ran=True) from e
        except RPCError as e:
            self._sock.close()
            e.never_ran = True
            raise
        self._sock.settimeout(None)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # What a caller uses.

    def call(self, method, params=None, timeout=None, metadata=None):
        """Calls and waits. params is anything that JSON has; None sends none. timeout in seconds."""
        return self.start(method, params, timeout, metadata).result()

    def start(self, method, params=None, timeout=None, metadata=None):
        """Starts a call, when the server has room for it, and returns a Pending."""
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            name = method.encode()
            body = b"" if params is None else json.dumps(params, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
            pairs = encode_pairs(metadata)
        except (TypeError, ValueError, RecursionError) as e:
            raise RPCError("invalid_argument", f"encode: {e}", never_ran=True) from e
        if len(name) > 65535 or len(pairs) > 65535:
            raise RPCError("invalid_argument", "method or metadata is too long", never_ran=True)
        middle = struct.pack(">H", len(name)) + name + (struct.pack(">H", len(pairs)) + pairs if pairs else b"")
        if 10 + 4 + len(middle) + len(body) > self._server_limit:
            raise RPCError("resource_exhausted", f"the server reads at most {self._server_limit} bytes", never_ran=True)
        call = Pending(self, deadline)
        with self._changed:
            while self._gone is None and len(self._pending) >= self._in_flight:
                if not self._changed.wait(None if deadline is None else deadline - time.monotonic()):
                    raise RPCError("deadline_exceeded", "no room for the call in time", never_ran=True)
            if self._gone:
                raise RPCError(self._gone.code, self._gone.message, never_ran=True)
            left = 0  # no limit
            if deadline is not None:
                left = min(int((deadline - time.monotonic()) * 1000), 0xFFFFFFFF)
                if left <= 0:
                    raise RPCError("deadline_exceeded", "no time is left to send the call", never_ran=True)
            self._last_id += 1
            call.id = self._last_id
            self._pending[call.id] = call
            self._send(REQUEST, PAIRS if pairs else 0, call.id, struct.pack(">I", left) + middle + body)
        return call

    def ping(self, timeout=10.0):
        """Waits for a pong."""
        answered = threading.Event()
        with self._lock:
            if self._ended:
                raise self._gone
            self._last_ping += 1
            self._pongs[self._last_ping] = answered
            self._send(PING, 0, self._last_ping)
        if not answered.wait(timeout) or self._ended:
            raise RPCError("unavailable", "no pong")

    def close(self):
        """Ends the connection; calls in flight fail."""
        self._fail(RPCError("canceled", "client closed"))
        if threading.current_thread() is not self._reader:
            self._reader.join()

    # The connection.

    def _connect(self, addr, timeout, tls):
        try:
            if addr.startswith("unix:"):
                sock = socket.socket(socket.AF_UNIX)
                sock.settimeout(timeout)
                sock.connect(addr[len("unix:"):])
                return sock
            host, _, port = addr.rpartition(":")
            sock = socket.create_connection((host.strip("[]"), int(port)), timeout)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return tls.wrap_socket(sock, server_hostname=host) if tls else sock
        except (OSError, ValueError) as e:
            raise RPCError("unavailable", f"connect to {addr}: {e}", never_ran=True) from e

    def _hello(self, metadata):
        body = b"\x04json" + struct.pack(">I", self._limit) + encode_pairs(metadata)
        if len(body) > 65535:
            raise RPCError("invalid_argument", "the hello's metadata is too long")
        self._sock.sendall(MAGIC + struct.pack(">BH", VERSION, len(body)) + body)
        head = self._receive(4)
        if head != MAGIC:
            raise RPCError("invalid_argument", f"the server begins with {head!r}: not this protocol")
        version, length = struct.unpack(">BH", self._receive(3))
        if length > 16 << 10:
            raise RPCError("resource_exhausted", f"the server's hello has {length} bytes")
        fields = Fields(self._receive(length))
        if version != VERSION:
            raise RPCError("unimplemented", f"the server speaks version {version}, this client {VERSION}")
        code, self._in_flight, self._server_limit = fields.number(1), fields.number(4), fields.number(4)
        if code != 0:
            raise RPCError(code_name(code), one_line(fields.data), remote=True)
        if self._in_flight < 1 or self._server_limit < 1024:
            raise RPCError("invalid_argument", "protocol: the server takes no calls")

    def _receive(self, n):
        """Exactly n bytes; room grows with what arrives."""
        got = bytearray()
        while len(got) < n:
            part = self._sock.recv(min(n - len(got), 64 << 10))
            if not part:
                raise RPCError("unavailable", "the server closed the connection")
            got += part
        return bytes(got)

    def _send(self, kind, flags, id, fields=b""):
        """Callers hold the lock. A connection that fails is found by the reader, which tells everyone."""
        try:
            self._sock.sendall(struct.pack(">IBBQ", 10 + len(fields), kind, flags, id) + fields)
        except OSError:
            self._shut()

    def _shut(self):
        try:
            self._sock.shutdown(socket.SHUT_RDWR)  # wakes the reader; close alone does not
        except OSError:
            pass

    def _abandon(self, call, error):
        """Ends the call for its caller, if its reply has not come, and tells the server."""
        with self._lock:
            if self._pending.get(call.id) is not call:
                return  # the reader was first
            self._pending[call.id] = None
            self._send(CANCEL, 0, call.id)
        call._end(error=error)

    def _fail(self, error):
        """The end: what is in flight may have run."""
        with self._changed:
            calls, self._pending = self._pending, {}
            self._gone = self._gone or error
            self._ended = True
            pongs, self._pongs = self._pongs, {}
            self._changed.notify_all()
        self._shut()
        self._sock.close()
        for call in filter(None, calls.values()):
            call._end(error=RPCError(error.code, error.message))
        for pong in pongs.values():
            pong.set()

    # The thread that reads.

    def _read(self):
        try:
            while True:
                head = self._receive(4)
                length = int.from_bytes(head, "big")
                if length < 10 or length > self._limit:
                    raise RPCError("resource_exhausted", f"a frame of length {length}: 10 to {self._limit} are allowed")
                kind, flags, id = struct.unpack(">BBQ", self._receive(10))
                self._handle(kind, flags, id, Fields(self._receive(length - 10)))
        except RPCError as e:
            self._fail(RPCError("unavailable", f"connection lost: {e.message}"))
        except (OSError, ValueError) as e:
            self._fail(RPCError("unavailable", f"connection lost: {e}"))

    def _handle(self, kind, flags, id, fields):
        if kind not in FLAGS or flags & ~FLAGS[kind]:
            raise RPCError("invalid_argument", f"protocol: kind {kind} with flags {flags:#04x} from the server")
        if kind == RESPONSE:
            self._reply(id, result=fields.data)
        elif kind == ERROR:
            code, message = code_name(fields.number(1)), one_line(fields.sized())
            details = fields.pairs() if flags & PAIRS else {}
            fields.end()
            self._reply(id, error=RPCError(code, message, details, bool(flags & NEVER_RAN), remote=True))
        elif kind == GO_AWAY:
            code, message = code_name(fields.number(1)), one_line(fields.sized())
            fields.end()
            self._go_away(id, RPCError("unavailable", f"the server is going away: {code}: {message}", never_ran=True, remote=True))
        else:
            fields.end()
            with self._lock:
                if kind == PING:
                    self._send(PONG, 0, id)
                elif id in self._pongs:
                    self._pongs.pop(id).set()

    def _reply(self, id, result=b"", error=None):
        with self._changed:
            if id not in self._pending:
                if self._gone:
                    return  # it crossed the go-away
                raise RPCError("invalid_argument", f"protocol: a reply to call {id}, which is not in flight")
            call = self._pending.pop(id)
            self._changed.notify()
        if call is not None and error is not None:
            call._end(error=error)
        elif call is not None:
            try:
                call._end(value=json.loads(result) if result else None)
            except (ValueError, RecursionError) as e:
                call._end(error=RPCError("internal", f"the result does not decode: {e}"))
        self._close_if_drained()

    def _go_away(self, last, reason):
        """Calls above last never ran; those up to it are answered, unless the connection ends first."""
        with self._changed:
            self._gone = reason
            unserved = [self._pending.pop(id) for id in list(self._pending) if id > last]
            self._changed.notify_all()
        for call in filter(None, unserved):
            call._end(error=reason)
        self._close_if_drained()

    def _close_if_drained(self):
        with self._lock:
            if self._gone and not self._pending:
                self._shut()


def main():
    args = argparse.ArgumentParser(description="Calls a method and prints its result as JSON.")
    args.add_argument("-t", "--timeout", type=float, metavar="SECONDS", help="how long to wait for the reply; default: without limit")
    args.add_argument("-m", "--metadata", action="append", default=[], metavar="KEY=VALUE", help="sent beside the params; may be repeated")
    args.add_argument("addr", help='"host:port" or "unix:path"')
    args.add_argument("method", help='"Service.Method"')
    args.add_argument("params", nargs="?", help="as JSON; default: none")
    args = args.parse_args()
    try:
        params = None if args.params is None else json.loads(args.params)
        metadata = dict(pair.split("=", 1) for pair in args.metadata)
    except ValueError as e:
        print(f"client.py: params or metadata: {e}", file=sys.stderr)
        return 2
    try:
        with Client(args.addr) as c:
            print(json.dumps(c.call(args.method, params, args.timeout, metadata), ensure_ascii=False))
    except RPCError as e:
        print(f"client.py: {e}", file=sys.stderr)
        for key, value in e.details.items():
            print(f"  {key}: {value}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
