"""A mail server that keeps what it is sent: enough of SMTP for one client at a time, over a plain socket."""
import email
import email.policy
import socket
import threading


class SmtpSink:
    """`refuse` maps a verb ("RCPT") to the reply that it gets in place of 250."""

    def __init__(self, refuse=None):
        self.refuse = refuse or {}
        self.mails = []          # (sender, [recipients], message)
        self.commands = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"smtp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(10)
            with connection, connection.makefile("rb") as lines:
                try:
                    self._converse(connection, lines)
                except OSError:
                    pass

    def _converse(self, connection, lines):
        def say(text):
            connection.sendall(text.encode() + b"\r\n")

        say("220 sink")
        sender, recipients = "", []
        for line in lines:
            command = line.decode("utf-8", "replace").strip()
            self.commands.append(command)
            verb = command.split(" ")[0].split(":")[0].upper()
            if verb in self.refuse:
                say(self.refuse[verb])
            elif verb == "MAIL":
                sender, recipients = command.split(":", 1)[1].split(" ")[0], []
                say("250 ok")
            elif verb == "RCPT":
                recipients.append(command.split(":", 1)[1].split(" ")[0])
                say("250 ok")
            elif verb == "DATA":
                say("354 go on")
                message = b""
                for part in lines:
                    if part == b".\r\n":
                        break
                    message += part[1:] if part.startswith(b".") else part
                self.mails.append((sender, recipients, email.message_from_bytes(message, policy=email.policy.default)))
                say("250 kept")
            elif verb == "QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")
