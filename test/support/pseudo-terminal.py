"""Runs a program on a pseudo-terminal and types into it.

argv[1] is a JSON object: {"argv": [...], "env": {...}, "cwd": "/", "killAfterMs": 15000, "columns": 80,
"steps": [{"waitFor": "text", "type": "y\\r"} | {"waitFor": "text", "signal": 2}]}.
Prints {"exitCode": 0, "signal": null, "output": "..."}. Exit code -1 and a signal mean that a signal ended the program.
"""
import fcntl, json, os, pty, select, signal, struct, sys, termios, time

job = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, job["columns"], 0, 0))
    os.chdir(job["cwd"])
    os.execve(job["argv"][0], job["argv"], job["env"])

output = b""
seen = 0
steps = job["steps"]
deadline = time.monotonic() + job["killAfterMs"] / 1000
while True:
    if steps:
        text = steps[0]["waitFor"].encode()
        at = output.find(text, seen)
        if at >= 0:
            step = steps.pop(0)
            seen = at + len(text)
            if "signal" in step:
                os.kill(pid, step["signal"])
            else:
                os.write(terminal, step["type"].encode())
            continue
    left = deadline - time.monotonic()
    if left <= 0:
        os.kill(pid, signal.SIGKILL)
        break
    readable, _, _ = select.select([terminal], [], [], left)
    if not readable:
        continue
    try:
        piece = os.read(terminal, 65536)
    except OSError:
        break
    if not piece:
        break
    output += piece

_, status = os.waitpid(pid, 0)
code = os.waitstatus_to_exitcode(status)
print(json.dumps({
    "exitCode": code if code >= 0 else -1,
    "signal": signal.Signals(-code).name if code < 0 else None,
    "output": output.decode("utf-8", "replace"),
}))
