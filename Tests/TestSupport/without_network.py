"""Runs a program on a machine that gets its network only after a while.

unshare -rnm python3 without_network.py SECONDS FILE PROGRAM [ARGUMENT ...]

The program's standard error goes to the file. The network is one web site at http://192.0.2.10:8080/, a default route, and a name
server that knows no name. It is made in the loopback interface of this process's own network.
"""
import ctypes
import fcntl
import http.server
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

SIOCADDRT, SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK = 0x890B, 0x8914, 0x8916, 0x891C
MS_BIND = 4096


def address(host, port=0):
    return struct.pack("=H2s4s8x", socket.AF_INET, port.to_bytes(2, "big"), socket.inet_aton(host))


def raise_loopback(control):
    fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", 1))


def use_name_server(folder):
    path = os.path.join(folder, "resolv.conf")
    with open(path, "w") as file:
        file.write("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(path.encode(), os.path.realpath("/etc/resolv.conf").encode(), None, MS_BIND, None) != 0:
        sys.exit(os.strerror(ctypes.get_errno()))


def serve_names():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    while True:
        question, client = server.recvfrom(512)
        # The same question, as an answer: there is no such name.
        server.sendto(question[:2] + b"\x81\x83" + question[4:], client)


class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_):
        pass


def add_network(control):
    fcntl.ioctl(control, SIOCSIFADDR, struct.pack("16s16s8x", b"lo:1", address("192.0.2.10")))
    fcntl.ioctl(control, SIOCSIFNETMASK, struct.pack("16s16s8x", b"lo:1", address("255.255.255.0")))
    site = http.server.ThreadingHTTPServer(("192.0.2.10", 8080), Site)
    for work in site.serve_forever, serve_names:
        threading.Thread(target=work, daemon=True).start()
    device, anywhere = ctypes.create_string_buffer(b"lo"), address("0.0.0.0")
    # struct rtentry: destination, gateway and mask, flags (the route is up), metric, device.
    fields = (0, anywhere, anywhere, anywhere, 1, 0, 0, 0, 0, ctypes.addressof(device), 0, 0, 0)
    route = struct.pack("@L16s16s16sHhLPhPLLH", *fields)
    fcntl.ioctl(control, SIOCADDRT, route)


def main():
    seconds, log, command = float(sys.argv[1]), sys.argv[2], sys.argv[3:]
    control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    raise_loopback(control)
    use_name_server(os.path.dirname(log))
    with open(log, "wb") as errors:
        program = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=errors)
    signal.signal(signal.SIGTERM, lambda *_: program.terminate())
    time.sleep(seconds)
    add_network(control)
    sys.exit(program.wait())


main()
