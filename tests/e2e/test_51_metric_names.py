"""The metrics of the real endpoint are those that alerts and dashboard use."""

import re
import urllib.request

from lib.metrics import METRICS
from lib.proxy import fields


def test_the_list_of_metrics_is_the_real_one(launch, ca, responders, stapled, tls, tmp_path):
    """Proves it with a staple, a handshake and a revocation list."""
    site = ca.issue(ocsp=responders().url)
    crl = ca.revoke(tmp_path / "crl.pem")
    clients = f"verify = optional\nca_file = {ca.file}\ncrl_file = {crl}"
    clinch = launch(stapled(site, "mode = always", head="[admin]\nlisten = 127.0.0.1:0", more=clients))
    assert tls(clinch.port()).ping()
    address = fields(clinch.wait_log(r"admin listening .*address="))["address"]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as response:
        text = response.read().decode()
    types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
    assert set(types) == METRICS
    # A family without a sample would leave its alert silent.
    sampled = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"^(\w+)[ {]", text, re.M)}
    assert sorted(METRICS - sampled) == []
