"""What the case runner and the system tests share: the server as a process, faults on the wire, a canned upstream."""
