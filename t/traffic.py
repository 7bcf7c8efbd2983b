# SPDX-License-Identifier: BSD-2-Clause
"""Traffic to capture: prints the TCP port of a server on the loopback device,
waits for a line on stdin, then fetches documents of many sizes from it."""
import http.server
import sys
import threading
import urllib.request

FETCHES = 40


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        size = int(self.path[1:])
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(b"x" * size)

    def log_message(self, *_):
        pass


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    print(port, flush=True)
    sys.stdin.readline()
    for i in range(FETCHES):
        url = f"http://127.0.0.1:{port}/{i * i * 100}"
        with urllib.request.urlopen(url) as answer:
            answer.read()


main()
