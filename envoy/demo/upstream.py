"""The API behind the demo's gateway: answers every request with what it saw of it.

Listens on loopback unless it is told otherwise. Standard library only. It stops on SIGTERM.
"""

import argparse
import http.server
import json


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers any method with 200 and a line of JSON."""

    protocol_version = "HTTP/1.1"
    server_version = "demo-upstream"
    # The answer leaves in one piece; in two, the second would wait for the first's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def answer(self):
        if self.headers.get("transfer-encoding"):
            self.close_connection = True
        else:
            self.rfile.read(int(self.headers.get("content-length") or 0))
        body = json.dumps({"upstream": "demo", "method": self.command, "path": self.path}).encode() + b"\n"
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer


class Server(http.server.ThreadingHTTPServer):
    """Keeps no connection from ending the process."""

    daemon_threads = True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    Server((arguments.host, arguments.port), Echo).serve_forever()


if __name__ == "__main__":
    main()
