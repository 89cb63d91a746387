"""Joins the address of its first argument with httpx-sse, and prints what it is told, one JSON string a line.

It ends when the stream does, or with its standard input.
"""

import json
import sys
import threading

import httpx
from httpx_sse import connect_sse

with httpx.Client(timeout=httpx.Timeout(10, read=60)) as client:
    with connect_sse(client, "GET", sys.argv[1]) as source:
        threading.Thread(target=lambda: (sys.stdin.read(), source.response.close()), daemon=True).start()
        for event in source.iter_sse():
            print(json.dumps([event.event, event.data, event.id, event.retry]), flush=True)
