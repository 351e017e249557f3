import ssl
import subprocess

import pika
import pytest
from pika.credentials import ExternalCredentials

from broker_process import BrokerProcess, needs_broker

pytestmark = needs_broker


def openssl(*arguments, cwd):
    subprocess.run(["openssl", *arguments], cwd=cwd, check=True, capture_output=True)


def sign(folder, name, subject, extension):
    """A certificate of the authority in the folder, with its key."""
    (folder / f"{name}.ext").write_text(extension)
    request = ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", subject]
    openssl(*request, "-keyout", f"{name}.key", "-out", f"{name}.csr", cwd=folder)
    by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext"]
    openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *by, cwd=folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    authority = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=authority", "-days", "2"]
    openssl(*authority, "-keyout", "ca.key", "-out", "ca.pem", cwd=folder)
    sign(folder, "host", "/CN=localhost", "subjectAltName=DNS:localhost")
    sign(folder, "hare", "/O=Burrow/CN=hare", "extendedKeyUsage=clientAuth")
    return folder


@pytest.fixture
def broker(folder, tmp_path):
    options = ["--tls-listen", "127.0.0.1:0", "--tls-certificate", folder / "host.pem", "--tls-key", folder / "host.key"]
    options += ["--tls-ca", folder / "ca.pem", "--tls-verify", "peer"]
    broker = BrokerProcess(tmp_path, options, {"RABBITMQ_DEFAULT_USER": "CN=hare,O=Burrow"})
    yield broker
    broker.kill()


def parameters(broker, context, credentials):
    host, port = broker.encrypted.rsplit(":", 1)
    options = pika.SSLOptions(context, "localhost")
    return pika.ConnectionParameters(host, int(port), credentials=credentials, ssl_options=options)


def round_trip(parameters):
    with pika.BlockingConnection(parameters) as connection:
        channel = connection.channel()
        channel.queue_declare("q", exclusive=True)
        body = b"x" * 300_000
        channel.basic_publish("", "q", body)
        for _method, _properties, got in channel.consume("q", auto_ack=True):
            assert got == body
            break
        channel.cancel()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_messages_go_over_tls(broker, folder, version):
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.minimum_version = context.maximum_version = version
    round_trip(parameters(broker, context, pika.PlainCredentials("CN=hare,O=Burrow", "guest")))


def test_a_certificate_logs_in(broker, folder):
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.load_cert_chain(folder / "hare.pem", folder / "hare.key")
    round_trip(parameters(broker, context, ExternalCredentials()))
