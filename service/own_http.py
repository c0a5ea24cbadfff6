"""How a program on the same machine asks the node over HTTP."""

from __future__ import annotations

import ssl

import httpx

from dicom_nodes.network.tls import ClientTLS, client_context
from service.local_address import http_url
from service.settings import HttpSettings


def own_http_url(http: HttpSettings) -> str:
    """Where the node's HTTP port is reached from here, without a slash at its end."""
    url = http_url(http.address, http.port)
    return url if http.tls.certificate is None else url.replace("http:", "https:", 1)


def own_http_client(http: HttpSettings, timeout_seconds: float) -> httpx.Client:
    """A client that trusts exactly the node's own certificate, whatever name that carries.

    Raises
    ------
    PermanentFault
        If the certificate cannot be read.
    """
    if http.tls.certificate is None:
        return httpx.Client(trust_env=False, timeout=timeout_seconds)
    context = client_context(ClientTLS(authorities=http.tls.certificate, check_name=False))
    # Its issuer need not be known here: this very certificate is the one to be met.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return httpx.Client(trust_env=False, timeout=timeout_seconds, verify=context)
