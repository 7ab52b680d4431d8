#!/usr/bin/env python3
"""A client of final/PROTOCOL.md in Python's standard library, with the JSON codec.

As a program:

    client.py [-t SECONDS] [-m KEY=VALUE]... [-s] ADDR METHOD [JSON [SHAPE]]
    client.py 127.0.0.1:7000 Inventory.CheckStock '{"Item":"item1"}'
    client.py unix:/run/shop.sock Inventory.List
    client.py 127.0.0.1:7000 Inventory.Watch '{}' server
    client.py 127.0.0.1:7100 Orders.Import '[{"id":"1"},{"id":"2"}]' client

It prints the result as JSON and ends with 0; an error goes to standard error
and ends it with 1; a wrong command line ends it with 2. With a shape the method
is a stream: server, client or bidi. Of the last two the JSON is a list of what
is sent. Each item that comes is a line.

As a module:

    with client.Client("127.0.0.1:7000") as c:
        stock = c.call("Inventory.CheckStock", {"Item": "item1"}, timeout=1.5)
        pending = c.start("Inventory.List")       # many calls in flight
        pending.cancel()                          # or pending.result()
        pending.metadata                          # what came beside the result, or the error
        with c.stream("Inventory.Watch", SERVER, {}) as changes:
            for item in changes: ...              # leaving the block cancels
        with c.stream("Orders.Import", CLIENT) as orders:
            orders.send({"id": "1"})              # waits for credit
            report = orders.reply()
        with c.stream("Inventory.Sync", BIDI) as s:
            s.send(1); s.receive(); s.end()       # one thread may send, another receive

Every failure is an RPCError. A Client may be used by many threads. It does less
than the Go client: it connects once (when the connection is lost, make another
Client), it never tries a call again, it sends no keepalive pings, it offers
neither compression nor to wait for room for params (a call for which the server
has none fails with resource_exhausted), and a server that does not read delays
all callers, since they write under one lock.
"""

import argparse
import collections
import json
import re
import socket
import struct
import sys
import threading
import time
import unicodedata

MAGIC = b"\x93RPC"
VERSION = 1
REQUEST, RESPONSE, ERROR, CANCEL, PING, PONG, GO_AWAY, OPEN, DATA, END, CREDIT, WANT, HEADER = range(1, 14)
PAIRS, RESTART, SELF_CONTAINED, NEVER_RAN, REPLY_METADATA, MORE = 1, 2, 4, 8, 0x20, 0x40
SERVER, CLIENT, BIDI = 1, 2, 3
WINDOW = 16 << 10  # of a stream
LENT = 32 << 20  # what all streams may be lent beyond their windows
OFFER = ("rpc.reply-metadata", "1")
STREAMS = ("rpc.streams", str(WINDOW))
FLAGS = {RESPONSE: RESTART | SELF_CONTAINED, ERROR: PAIRS | NEVER_RAN, PING: 0, PONG: 0, GO_AWAY: 0}
STREAM_FLAGS = {DATA: MORE, END: PAIRS | NEVER_RAN, CREDIT: 0, WANT: 0, HEADER: 0}
MAX_CREDIT = (1 << 31) - 1
KEY = re.compile("[a-z0-9._-]{1,128}")  # of metadata
MAX_METADATA, MAX_PAIRS = 8 << 10, 128  # of a reply
FRAGMENT = 64 << 10  # bytes of an item in one frame
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
        return decode_pairs(self.sized())

    def end(self):
        if self.data:
            raise RPCError("invalid_argument", "protocol: bytes after the fields")


def decode_pairs(data):
    pairs, inner = {}, Fields(data)
    while inner.data:
        key = one_line(inner.sized())
        pairs[key] = one_line(inner.sized())
    return pairs


def decode_metadata(data):
    """Metadata of a reply, or why they make no sense: (pairs, None) or ({}, the reason)."""
    pairs, count, inner = {}, 0, Fields(data)
    try:
        while inner.data:
            key, value = inner.sized().decode(), inner.sized().decode()
            count += 1
            if not KEY.fullmatch(key) or any(unicodedata.category(c) == "Cc" for c in value):
                return {}, f"the pair {key!r} is not allowed"
            pairs[key] = value
    except UnicodeDecodeError:
        return {}, "not UTF-8"
    except RPCError as e:
        return {}, e.message
    if len(data) > MAX_METADATA or count > MAX_PAIRS:
        return {}, f"{len(data)} bytes in {count} pairs"
    return pairs, None


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
        self.metadata = {}  # of the reply, once result has returned or raised
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


def cost(n):
    """What a data frame with n bytes of an item costs of credit."""
    return n + 14 + 64


def to_json(value):
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as e:
        raise RPCError("invalid_argument", f"encode: {e}", never_ran=True) from e


class Stream:
    """An open stream: see Client.stream. The client's lock guards it. One thread may send, and one
    receive. header and metadata are what came before the first item, and with the end."""

    def __init__(self, client, shape, deadline):
        self._client, self._deadline = client, deadline
        self._changed = threading.Condition(client._lock)
        self._credit = client._stream_credit  # what may be sent
        self._sending = shape != SERVER
        self._room, self._taken, self._extra, self._wanted = WINDOW, 0, 0, 0  # what the server may send
        self._items, self._part = collections.deque(), b""
        self._within = False  # an item of several frames is arriving
        self._header_over = False  # no header may come any more
        self._over = False  # the server has ended it, or the caller has left
        self._left = False  # the caller
        self._error = None  # of a stream that is over
        self.header, self.metadata = {}, {}
        self.id = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __iter__(self):
        while True:
            try:
                yield self.receive()
            except EOFError:
                return

    def send(self, item):
        """Sends an item: all of it, or nothing. It waits while the server does not take what was sent."""
        data = to_json(item)
        if len(data) > self._client._server_limit - 10:
            raise RPCError("resource_exhausted", f"the server reads at most {self._client._server_limit} bytes")
        parts = [data[i:i + FRAGMENT] for i in range(0, len(data), FRAGMENT)]
        price, said = sum(cost(len(p)) for p in parts), False
        with self._changed:
            while self._sending and not self._over and self._credit < price:
                if not said:
                    self._client._send(WANT, 0, self.id, struct.pack(">I", price))
                said = True
                self._wait()
            if self._over:
                raise self._error or RPCError("failed_precondition", "the handler has returned")
            if not self._sending:
                raise RPCError("failed_precondition", "the sending half has ended")
            self._credit -= price
            for p in parts[:-1]:
                self._client._send(DATA, MORE, self.id, p)
            self._client._send(DATA, 0, self.id, parts[-1])

    def end(self):
        """Ends the sending half. It may be called again."""
        with self._changed:
            if self._sending and not self._over:
                self._client._send(END, 0, self.id)
            self._sending = False
            self._changed.notify_all()

    def receive(self):
        """The next item. EOFError: there are no more. An RPCError is how the stream has failed."""
        with self._changed:
            while not self._items and not self._over:
                self._wait()
            if not self._items:
                raise self._error or EOFError()
            data, price = self._items.popleft()
            self._taken += price
            self._settle()
        try:
            return json.loads(data) if data else None  # the zero value
        except (ValueError, RecursionError) as e:
            self._leave(RPCError("internal", f"an item does not decode: {e}"))
            raise self._error from e

    def reply(self):
        """Ends the sending half and returns the one item of a client stream."""
        self.end()
        items = list(self)
        if len(items) != 1:
            raise RPCError("internal", f"{len(items)} replies")
        return items[0]

    def close(self):
        """The caller leaves: if the stream is not over, the server is told."""
        self._leave(RPCError("canceled", "the caller canceled"))

    # What follows is for the client.

    def _wait(self):
        left = None if self._deadline is None else self._deadline - time.monotonic()
        if left is not None and left <= 0 or not self._changed.wait(left):
            if not self._over:
                self._cancel(RPCError("deadline_exceeded", "the time is up"))

    def _leave(self, error):
        with self._changed:
            if not self._over:
                self._cancel(error)

    def _cancel(self, error):
        self._left = True
        self._client._send(CANCEL, 0, self.id)
        self._finish(error)

    def _finish(self, error):
        """It is over. What has come before a server's error can still be received."""
        self._over, self._error = True, error
        if self._left:
            self._items.clear()
        self._extra = self._wanted = 0
        self._changed.notify_all()
        self._client._lend()

    def _settle(self):
        """Gives credit back: in batches, or at once if the server waits."""
        if self._over:
            return
        back = min(self._taken, self._extra)
        self._taken -= back
        self._extra -= back
        if self._wanted:
            if self._wanted <= self._room + self._taken:
                self._give(self._taken)
                self._wanted = 0
            elif self._wanted > WINDOW + self._extra and self not in self._client._line:
                self._client._line.append(self)
        elif self._taken >= WINDOW // 4:
            self._give(self._taken)
        self._client._lend()

    def _give(self, n, extra=False):
        self._room += n
        if extra:
            self._extra += n
        else:
            self._taken -= n
        if n:
            self._client._send(CREDIT, 0, self.id, struct.pack(">I", n))

    def _handle(self, kind, flags, fields):
        """A frame of the server. Its errors end the connection."""
        if kind == DATA:
            self._data(flags, fields.data)
        elif kind == HEADER:
            if self._over and self._client._agreed:
                return  # the caller has left
            if self._header_over or not self._client._agreed:
                raise RPCError("invalid_argument", "protocol: a header that was not agreed upon, or not before the items")
            self._header_over = True
            header, bad = decode_metadata(fields.data)
            if bad:
                self._cancel(RPCError("internal", f"the header: {bad}"))
                return
            self.header = header
        elif kind == END:
            code, message = fields.number(1), one_line(fields.sized())
            details = fields.pairs() if flags & PAIRS else {}
            trailer = fields.sized() if flags & REPLY_METADATA else b""
            fields.end()
            self.metadata, bad = decode_metadata(trailer)
            error = RPCError(code_name(code), message, details, bool(flags & NEVER_RAN), remote=True) if code else None
            if bad and not error:
                error = RPCError("internal", f"the trailer: {bad}")
            self._server_ended(error)
        else:
            n = fields.number(4)
            fields.end()
            if not 0 < n <= MAX_CREDIT:
                raise RPCError("invalid_argument", f"protocol: credit or want of {n} bytes")
            if kind == WANT and n > self._client._limit + self._client._limit // 8 and not self._over:
                self._cancel(RPCError("internal", f"protocol: want of {n} bytes: no item costs that"))
                return
            if kind == WANT:
                self._wanted = n if n > self._room else 0
                self._settle()
                return
            self._credit += n
            if self._credit > MAX_CREDIT:
                raise RPCError("invalid_argument", f"protocol: credit of {self._credit} bytes in all")
            self._changed.notify_all()

    def _data(self, flags, data):
        self._header_over = True
        self._room -= cost(len(data))
        if self._room < 0:
            raise RPCError("resource_exhausted", f"protocol: data on stream {self.id} above its credit")
        if self._over:
            return  # the caller has left
        self._wanted = 0
        self._part += data
        self._price = cost(len(data)) + (self._price if self._within else 0)
        self._within = bool(flags & MORE)
        if self._within and len(data) < 1024:
            self._cancel(RPCError("internal", f"protocol: a fragment of {len(data)} bytes"))
        elif len(self._part) > self._client._limit - 10:
            self._cancel(RPCError("internal", f"protocol: an item of more than {self._client._limit - 10} bytes"))
        elif not self._within:
            self._items.append((self._part, self._price))
            self._part = b""
            self._changed.notify_all()

    def _server_ended(self, error):
        client = self._client
        del client._streams[self.id]
        if self._left:
            client._lend()
            client._changed.notify()
            return
        if self._sending:
            client._send(END, 0, self.id)
            self._sending = False
        if self._within and not error:
            error = RPCError("internal", "protocol: the end within an item")
        self._finish(error)
        client._changed.notify()


class Client:
    """One connection. addr is "host:port" or "unix:path"; timeout, in seconds, is for connecting
    and the hello; max_message, in bytes, bounds what is read; tls is an ssl.SSLContext or None."""

    def __init__(self, addr, timeout=10.0, metadata=None, max_message=4 << 20, tls=None):
        self._limit = max_message
        self._lock = threading.Lock()  # guards what follows, and sending: the order of IDs is that of frames
        self._changed = threading.Condition(self._lock)
        self._pending = {}  # by ID; None for a call whose caller has left: it keeps its place until it is answered
        self._pongs = {}
        self._streams = {}  # by ID, also those that wait for the server's end alone
        self._most_streams = self._stream_credit = 0  # as the server has granted
        self._line = collections.deque()  # streams whose server wants to send an item above the window
        self._last_id = self._last_ping = 0
        self._gone = None  # why no new calls can be made
        self._ended = False  # nothing comes any more
        self._agreed = 0  # flags that replies may have by both hellos
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
        body = b"" if params is None else to_json(params)
        try:
            name, pairs = method.encode(), encode_pairs(metadata)
        except ValueError as e:
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
            left = self._time_left(deadline)
            self._last_id += 1
            call.id = self._last_id
            self._pending[call.id] = call
            self._send(REQUEST, PAIRS if pairs else 0, call.id, struct.pack(">I", left) + middle + body)
        return call

    def stream(self, method, shape, params=None, timeout=None, metadata=None):
        """Opens a stream, when there is a place for it. shape is SERVER, which sends params, CLIENT or BIDI."""
        deadline = None if timeout is None else time.monotonic() + timeout
        name, pairs = method.encode(), encode_pairs(metadata)
        body = b"" if params is None or shape != SERVER else to_json(params)
        middle = struct.pack(">BH", shape, len(name)) + name + (struct.pack(">H", len(pairs)) + pairs if pairs else b"")
        if 10 + 4 + len(middle) + len(body) > self._server_limit:
            raise RPCError("resource_exhausted", f"the server reads at most {self._server_limit} bytes", never_ran=True)
        if not self._most_streams:
            raise RPCError("unimplemented", "the server has no streams", never_ran=True)
        stream = Stream(self, shape, deadline)
        with self._changed:
            while self._gone is None and len(self._streams) >= self._most_streams:
                if not self._changed.wait(None if deadline is None else deadline - time.monotonic()):
                    raise RPCError("deadline_exceeded", "no place for the stream in time", never_ran=True)
            if self._gone:
                raise RPCError(self._gone.code, self._gone.message, never_ran=True)
            left = self._time_left(deadline)
            self._last_id += 1
            stream.id = self._last_id
            self._streams[stream.id] = stream
            self._send(OPEN, PAIRS if pairs else 0, stream.id, struct.pack(">I", left) + middle + body)
        return stream

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

    @staticmethod
    def _time_left(deadline):
        """Milliseconds for the server; 0: without limit."""
        if deadline is None:
            return 0
        left = min(int((deadline - time.monotonic()) * 1000), 0xFFFFFFFF)
        if left <= 0:
            raise RPCError("deadline_exceeded", "no time is left to send the call", never_ran=True)
        return left

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
        body = b"\x04json" + struct.pack(">I", self._limit) + encode_pairs({**(metadata or {}), OFFER[0]: OFFER[1], STREAMS[0]: STREAMS[1]})
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
        for word in one_line(fields.data).split(" "):
            if word == "=".join(OFFER):
                self._agreed = REPLY_METADATA
            elif word.startswith(STREAMS[0] + "="):
                self._grant(word[len(STREAMS[0]) + 1:].split(","))
        if self._in_flight < 1 or self._server_limit < 1024:
            raise RPCError("invalid_argument", "protocol: the server takes no calls")

    def _grant(self, numbers):
        """Takes how many streams there may be, and the server's window. What makes no sense is no grant."""
        if len(numbers) == 2 and all(n.isascii() and n.isdigit() and str(int(n)) == n for n in numbers):
            most, window = map(int, numbers)
            if 1 <= most <= MAX_CREDIT and 4096 <= window <= MAX_CREDIT:
                self._most_streams, self._stream_credit = most, window

    def _lend(self):
        """Makes room for items above the window, in the order in which streams have asked: for one at any
        time, and for more while they take little memory together."""
        while self._line:
            s, lent = self._line[0], sum(s._extra for s in self._streams.values())
            if lent and lent + s._wanted > LENT:
                return
            self._line.popleft()
            if not s._over and s._wanted > s._room + s._taken:
                s._give(s._taken)
                s._give(s._wanted - s._room, extra=True)
                s._wanted = 0

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
            streams, self._streams = self._streams, {}
            self._gone = self._gone or error
            self._ended = True
            for stream in streams.values():
                if not stream._over:
                    stream._finish(RPCError(error.code, error.message))
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
        agreed = self._agreed if kind in (RESPONSE, ERROR, END) else 0
        known = {**FLAGS, **STREAM_FLAGS} if self._most_streams else FLAGS
        if kind not in known or flags & ~(known[kind] | agreed):
            raise RPCError("invalid_argument", f"protocol: kind {kind} with flags {flags:#04x} from the server")
        if kind in STREAM_FLAGS:
            with self._lock:
                self._stream_frame(kind, flags, id, fields)
            self._close_if_drained()
            return
        if kind == RESPONSE:
            metadata = fields.sized() if flags & REPLY_METADATA else b""
            self._reply(id, metadata, result=fields.data)
        elif kind == ERROR:
            code, message = code_name(fields.number(1)), one_line(fields.sized())
            details = fields.pairs() if flags & PAIRS else {}
            metadata = fields.sized() if flags & REPLY_METADATA else b""
            fields.end()
            self._reply(id, metadata, error=RPCError(code, message, details, bool(flags & NEVER_RAN), remote=True))
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

    def _stream_frame(self, kind, flags, id, fields):
        if id in self._streams:
            self._streams[id]._handle(kind, flags, fields)
        elif not (self._gone and id <= self._last_id):  # it crossed the go-away
            raise RPCError("invalid_argument", f"protocol: kind {kind} for stream {id}, which is not open")

    def _reply(self, id, metadata, result=b"", error=None):
        with self._changed:
            if id not in self._pending:
                if self._gone:
                    return  # it crossed the go-away
                raise RPCError("invalid_argument", f"protocol: a reply to call {id}, which is not in flight")
            call = self._pending.pop(id)
            self._changed.notify()
        if call is not None:
            call.metadata, bad = decode_metadata(metadata)
            if bad:
                error = error or RPCError("internal", f"the reply's metadata: {bad}")
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
            for id in [id for id in self._streams if id > last]:
                stream = self._streams.pop(id)
                if not stream._over:
                    stream._finish(reason)
            self._changed.notify_all()
        for call in filter(None, unserved):
            call._end(error=reason)
        self._close_if_drained()

    def _close_if_drained(self):
        with self._lock:
            if self._gone and not self._pending and not self._streams:
                self._shut()


def run_stream(c, args, params, metadata):
    shape = {"server": SERVER, "client": CLIENT, "bidi": BIDI}[args.shape]
    with c.stream(args.method, shape, params, args.timeout, metadata) as s:
        def send():
            try:
                for item in params:
                    s.send(item)
                s.end()
            except RPCError:
                pass  # receive says it, too
        sender = threading.Thread(target=send, daemon=True)
        if shape != SERVER:
            sender.start()
        try:
            for item in s:
                print(json.dumps(item, ensure_ascii=False), flush=True)
        finally:
            for key, value in {**s.header, **s.metadata}.items() if args.show_metadata else ():
                print(f"{key}={value}", file=sys.stderr)
    return 0


def main():
    args = argparse.ArgumentParser(description="Calls a method and prints its result as JSON.")
    args.add_argument("-t", "--timeout", type=float, metavar="SECONDS", help="how long to wait for the reply; default: without limit")
    args.add_argument("-m", "--metadata", action="append", default=[], metavar="KEY=VALUE", help="sent beside the params; may be repeated")
    args.add_argument("-s", "--show-metadata", action="store_true", help="print the reply's metadata to standard error")
    args.add_argument("addr", help='"host:port" or "unix:path"')
    args.add_argument("method", help='"Service.Method"')
    args.add_argument("params", nargs="?", help="as JSON; default: none")
    args.add_argument("shape", nargs="?", choices=["server", "client", "bidi"], help="of a stream; default: it is a call")
    args = args.parse_args()
    try:
        params = None if args.params is None else json.loads(args.params)
        metadata = dict(pair.split("=", 1) for pair in args.metadata)
        if args.shape in ("client", "bidi") and not isinstance(params, list):
            raise ValueError("a list of items is wanted")
    except ValueError as e:
        print(f"client.py: params or metadata: {e}", file=sys.stderr)
        return 2
    try:
        with Client(args.addr) as c:
            if args.shape:
                return run_stream(c, args, params, metadata)
            call = c.start(args.method, params, args.timeout, metadata)
            try:
                result = call.result()
            finally:
                for key, value in call.metadata.items() if args.show_metadata else ():
                    print(f"{key}={value}", file=sys.stderr)
            print(json.dumps(result, ensure_ascii=False))
    except RPCError as e:
        print(f"client.py: {e}", file=sys.stderr)
        for key, value in e.details.items():
            print(f"  {key}: {value}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
