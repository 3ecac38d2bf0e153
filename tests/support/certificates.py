"""Certificates made on the spot with the openssl command: authorities, and clients that they signed."""
import pathlib
import subprocess

_EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Identity:
    """A certificate, its key, and what a client sends along with it. `issuer` signs it, else it does so itself."""

    def __init__(self, folder, name, issuer=None, authority=False, days=2, key=None):
        self.folder = pathlib.Path(folder)
        self.name, self.issuer = name, issuer
        self.certificate, self.key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        extensions = self.folder / f"{name}.cnf"
        extensions.write_text(f"basicConstraints = critical,CA:{'TRUE' if authority else 'FALSE'}\n"
                              "subjectAltName = DNS:localhost\nsubjectKeyIdentifier = hash\n")
        request = self.folder / f"{name}.csr"
        _openssl("req", "-new", *(key or _EC), "-nodes", "-keyout", self.key, "-out", request, "-subj", f"/CN={name}")
        signer = ["-CA", issuer.certificate, "-CAkey", issuer.key, "-CAcreateserial"] if issuer else ["-key", self.key]
        _openssl("x509", "-req", "-in", request, "-out", self.certificate, "-days", days, "-extfile", extensions, *signer)

    @property
    def text(self):
        return self.certificate.read_text()

    def chain(self, *between):
        """The file that a client shows: its certificate and those of authorities between it and the anchor."""
        path = self.folder / f"{self.name}.chain.pem"
        path.write_text("".join(identity.text for identity in (self, *between)))
        return path


def authority(folder, name, issuer=None, **more):
    return Identity(folder, name, issuer, authority=True, **more)
