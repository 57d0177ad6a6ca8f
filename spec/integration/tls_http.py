"""A program that speaks TLS and its clients, for the tests of HTTPS."""
import ssl

import certificates


def prepare(world, authority, **env):
    """A program of the http_client.Servers that speaks TLS, not started."""
    program = world.prepare(env=env).serve_tls(*authority.issue("server"), authority.certificate)
    # Files of its own: tests replace them.
    for name in ("CERTIFICATE", "KEY"):
        source = program.env[f"AGGREGATOR_HTTP_TLS_{name}"]
        target = program.folder / f"served.{name.lower()}"
        certificates.replace(target, source)
        program.env[f"AGGREGATOR_HTTP_TLS_{name}"] = str(target)
    return program


def client_context(authority, name=None, names="DNS:client.test", days=30, issuer=None):
    """A client that trusts the authority, with a certificate of the issuer if it has a name."""
    context = ssl.create_default_context(cafile=authority.certificate)
    if name:
        context.load_cert_chain(*(issuer or authority).issue(name, names, days))
    return context
