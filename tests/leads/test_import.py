"""A customer's CSV from the upload to the leads: over HTTP, with strides driven by hand."""

from __future__ import annotations

import csv
import io
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import privacy
from billing.models import BillingAccount
from leads.files import control, job, store, sweep
from leads.ingest import leads
from leads.models import Import, ImportAddress, ImportChunk, ImportRejection, Lead
from saas.tenancy import everyone, scope
from tests.factories import make_brand, make_user
from tests.leads.factories import JOINED, lead_rows

Login = Callable[[Any], Client]
HEADER = "Email,First Name,Last Name,Company,Phone,Job title\n"


class Desk:
    """Somebody at the import pages of a brand."""

    def __init__(self, client: Client, brand: Any) -> None:
        self.client, self.brand = client, brand

    def url(self, path: str = "") -> str:
        return f"/b/{self.brand.slug}/leads/import/{path}"

    def upload(self, data: bytes | str, name: str = "people.csv", **more: str) -> Any:
        data = data if isinstance(data, bytes) else data.encode()
        form = {"file": SimpleUploadedFile(name, data), "whole": "1"} | more
        return self.client.post(self.url(), form, follow=True)

    def job(self) -> Import:
        with scope(self.brand):
            return Import.objects.latest("id")

    def check(self, mapping: list[str] | None = None, **more: str) -> Import:
        """Start the check with the guessed columns, and drive it to its end."""
        row = self.job()
        form = {"column": mapping or row.mapping, "encoding": row.encoding,
                "delimiter": row.delimiter} | more  # fmt: skip
        answer = self.client.post(self.url(f"{row.pk}/columns/"), form)
        assert answer.status_code == 302
        return self.drive()

    def start(self) -> Import:
        self.client.post(self.url(f"{self.job().pk}/start/"))
        return self.drive()

    def drive(self, strides: int = 50) -> Import:
        for _ in range(strides):
            row = self.job()
            if row.state not in Import.CARRIED:
                return row
            job.stride(self.brand.pk, row.pk)
        raise AssertionError(self.job().__dict__)

    def take_in(self, data: bytes | str) -> Import:
        self.upload(data)
        self.check()
        return self.start()

    def rejected(self) -> list[list[str]]:
        answer = self.client.get(self.url(f"{self.job().pk}/rejected/"))
        text = b"".join(answer.streaming_content).decode("utf-8-sig")
        return list(csv.reader(io.StringIO(text)))

    def leads(self) -> dict[str, Lead]:
        with scope(self.brand):
            return {lead.email: lead for lead in Lead.objects.all()}

    def room(self, quota: int) -> None:
        with scope(self.brand):
            BillingAccount.objects.update(lead_quota=quota)


@pytest.fixture
def desk(client_for: Login, brand: Any, owner: Any) -> Desk:
    return Desk(client_for(owner), brand)


def people(count: int, start: int = 0) -> str:
    rows = (f"p{n}@example.test,First{n},Last{n},Company {n % 7},,Boss\n" for n in
            range(start, start + count))  # fmt: skip
    return HEADER + "".join(rows)


def texts(answer: Any) -> str:
    return str(answer.content.decode())


def test_from_the_upload_to_the_leads(desk: Desk) -> None:
    answer = desk.upload(
        HEADER + 'Ada@Example.test,Ada,Lovelace,"Engines, Ltd",\'+44 20,Countess\n'
        "known@example.test,Ken,,,,\n"
    )
    row = desk.job()
    assert answer.redirect_chain == [(desk.url(f"{row.pk}/columns/"), 302)]
    assert row.mapping == ["email", "first_name", "last_name", "company", "phone", "own"]
    assert "Engines, Ltd" in texts(answer)
    with scope(desk.brand):
        leads.merge(brand_id=desk.brand.pk, rows=list(lead_rows(1)))
        Lead.objects.update(email="known@example.test")

    row = desk.check()
    assert (row.state, row.rows, row.new, row.known, row.bad) == ("checked", 2, 1, 1, 0)
    assert list(desk.leads()) == ["known@example.test"]
    page = texts(desk.client.get(desk.url(f"{row.pk}/")))
    assert "Nothing has been changed yet" in page

    row = desk.start()
    assert (row.state, row.leads_new, row.leads_changed, row.left_out) == ("finished", 1, 1, 0)
    ada = desk.leads()["ada@example.test"]
    assert (ada.first_name, ada.company, ada.phone) == ("Ada", "Engines, Ltd", "+44 20")
    assert ada.custom == {"Job title": "Countess"}
    assert (ada.status, ada.joined_at) == ("", row.started_at)
    assert desk.leads()["known@example.test"].first_name == "Ken"
    with scope(desk.brand):
        assert BillingAccount.objects.get().leads_used == 2

    sweep.clean(desk.brand.pk, row.pk)
    with scope(desk.brand):
        assert not ImportChunk.objects.exists()
        assert not ImportAddress.objects.exists()
    assert desk.job().emptied_at is not None


@pytest.mark.parametrize(
    ("encode", "kept"),
    [
        (lambda text: text.encode(), "utf-8"),
        (lambda text: text.encode("utf-8-sig"), "utf-8"),
        (lambda text: text.encode("utf-16"), "utf-8"),
        (lambda text: text.encode("utf-16-be"), "utf-8"),
        (lambda text: text.encode("cp1252"), "windows-1252"),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_encodings_and_delimiters(
    desk: Desk, encode: Callable[[str], bytes], kept: str, delimiter: str, newline: str
) -> None:
    text = (
        f'e-mail,vorname,firma\nzoe@example.test,Zoë,Müller\nmax@example.test,Max,"Töne{newline}"\n'
    )
    answer = desk.upload(encode(text.replace(",", delimiter).replace("\n", newline)))
    row = desk.job()
    assert (row.encoding, row.delimiter) == (kept, delimiter)
    assert row.mapping == ["email", "first_name", "company"]
    assert ("not UTF-8" in texts(answer)) is (kept == "windows-1252")
    desk.check()
    assert desk.start().leads_new == 2
    zoe = desk.leads()["zoe@example.test"]
    assert (zoe.first_name, zoe.company) == ("Zoë", "Müller")


def test_the_person_may_read_it_otherwise(desk: Desk) -> None:
    desk.upload("email;first name,odd\na@example.test;Al,b\n")
    row = desk.job()
    page = texts(desk.client.get(desk.url(f"{row.pk}/columns/?delimiter=,")))
    assert "email;first name" in page
    desk.check(["email", "first_name"], delimiter=";")
    assert desk.start().leads_new == 1
    assert desk.leads()["a@example.test"].first_name == "Al,b"


HOSTILE = {
    "ragged-short@example.test,x": ("ragged", "The row has 2 cells, and the first line names 6."),
    "ragged-long@example.test,a,b,c,d,e,f,g": (
        "ragged",
        "The row has 8 cells, and the first line names 6.",
    ),
    "nul@example.test,N\x00,,,,": ("nul", "First Name holds a NUL character."),
    ",No,Address,,,": ("no_email", "There is no e-mail address."),
    "not an address,,,,,": ("bad_email", "The e-mail address is not one."),
    f"long@example.test,{'x' * 2001},,,,": (
        "too_long",
        "First Name has 2001 characters, more than 2000.",
    ),
    f"{'y' * 250}@example.test,,,,,": ("bad_email", "The e-mail address is not one."),
    "P1@example.test,Again,,,,": ("twice", "The same address is in line 3."),
    'open@example.test,"never closed,,,,': (
        "unreadable",
        "A quote opens in this line and never closes.",
    ),
    "cr@example.test,a\rb,,,,": (
        "unreadable",
        "A line break stands in a cell without quotes around it.",
    ),
}


@pytest.mark.parametrize("line", HOSTILE)
def test_a_bad_row_is_left_out_with_its_line_and_reason(desk: Desk, line: str) -> None:
    desk.upload(people(2) + line + "\n" + people(2, 2).removeprefix(HEADER))
    row = desk.check()
    assert (row.rows, row.new, row.bad) == (5, 4, 1)
    reason, words = HOSTILE[line]
    with scope(desk.brand):
        [found] = ImportRejection.objects.values_list("line", "reason", "detail")
    assert found == (4, reason, words)
    assert desk.start().leads_new == 4
    assert set(desk.leads()) == {f"p{n}@example.test" for n in range(4)}
    header, bad = desk.rejected()
    assert header[:3] == ["Line", "Reason", "Email"]
    assert bad[:2] == ["4", words]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "The file is empty."),
        (b"\n\n \n", "nothing below it"),
        (b"email,name\n", "nothing below it"),
        (b"PK\x03\x04" + bytes(range(256)) * 9, "This is a workbook"),
        (bytes(range(256)) * 40, "not a CSV file"),
        (b'"email,name\n' + b"a@b.example,x\n" * 3, "not a CSV file"),
        (b"x" * 2_000_000, "not a CSV file"),
        (b",".join(b"c%d" % n for n in range(201)) + b"\n1\n", "201 columns"),
    ],
)
def test_what_is_no_table_is_refused_and_forgotten(desk: Desk, data: bytes, words: str) -> None:
    page = texts(desk.upload(data))
    assert words in page
    assert "Upload a CSV file" in page
    with scope(desk.brand):
        assert not Import.objects.exists()
        assert not ImportChunk.objects.exists()


def test_an_upload_that_was_cut_off_is_forgotten(desk: Desk) -> None:
    boundary = "a-boundary"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        f"{people(3)}"
    ).encode()
    kind = f"multipart/form-data; boundary={boundary}"
    answer = desk.client.post(desk.url(), body, content_type=kind, follow=True)
    assert "The upload broke off" in texts(answer)
    with scope(desk.brand):
        assert not Import.objects.exists()


def test_an_upload_without_a_file_or_a_token_changes_nothing(desk: Desk, owner: Any) -> None:
    answer = desk.client.post(desk.url(), {"whole": "1"}, follow=True)
    assert "Choose a CSV file first" in texts(answer)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    form = {"file": SimpleUploadedFile("a.csv", people(3).encode()), "whole": "1"}
    assert strict.post(desk.url(), form).status_code == 403
    with scope(desk.brand):
        assert not Import.objects.exists()


def test_one_import_at_a_time(desk: Desk) -> None:
    desk.upload(people(2))
    first = desk.job()
    assert "Finish or cancel the import that is open" in texts(desk.upload(people(3)))
    assert desk.job().pk == first.pk
    desk.client.post(desk.url(f"{first.pk}/cancel/"))
    desk.upload(people(3))
    assert desk.job().pk != first.pk
    with scope(desk.brand):
        assert Import.objects.get(pk=first.pk).state == "cancelled"


def test_a_file_of_many_chunks(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "CHUNK", 100)
    monkeypatch.setattr(job, "BATCH", 7)
    done = desk.take_in(people(60).encode("utf-16"))
    assert (done.rows, done.leads_new, done.bad) == (60, 60, 0)
    with scope(desk.brand):
        assert ImportChunk.objects.count() > 20


def test_columns_that_cannot_be_are_told(desk: Desk) -> None:
    desk.upload("name,mail,other\nA,a@example.test,b@example.test\n")
    row = desk.job()
    assert row.mapping == ["own", "email", "own"]
    for mapping, words in (
        (["own", "", "own"], "Choose the column that holds the e-mail addresses"),
        (["own", "email", "email"], "Only one column can be Email"),
        (["own", "email"], "The columns changed meanwhile"),
        (["own", "email", "password"], "The columns changed meanwhile"),
    ):
        answer = desk.client.post(desk.url(f"{row.pk}/columns/"), {"column": mapping})
        assert answer.status_code == 422
        assert words in texts(answer)
    assert desk.job().state == "mapping"


def test_an_address_column_of_any_name_is_found(desk: Desk) -> None:
    answer = desk.upload("wer,wo\na@example.test,Kiel\nb@example.test,Bonn\n")
    assert desk.job().mapping == ["email", "own"]
    assert "looks like a lead" not in texts(answer)


def test_a_first_line_that_is_a_lead_is_pointed_out(desk: Desk) -> None:
    assert "looks like a lead" in texts(desk.upload("a@example.test,Ada\nb@example.test,Bo\n"))


def test_other_columns_check_the_file_anew(desk: Desk) -> None:
    desk.upload("mail,second\na@example.test,\nb@example.test,c@example.test\n")
    assert desk.check().new == 2
    row = desk.check(["own", "email"])
    assert (row.rows, row.new, row.bad) == (2, 1, 1)
    assert [line[0] for line in desk.rejected()[1:]] == ["2"]


def test_what_the_plan_has_no_room_for_is_left_out_and_can_be_taken_along(desk: Desk) -> None:
    desk.upload(people(10))
    row = desk.check()
    desk.room(6)
    page = texts(desk.client.get(desk.url(f"{row.pk}/")))
    assert "has room for 6 more leads" in page
    assert "The file has 10 new ones" in page
    row = desk.start()
    assert (row.state, row.leads_new, row.left_out) == ("finished", 6, 4)
    left = desk.rejected()
    assert [line[2] for line in left[1:]] == [f"p{n}@example.test" for n in range(6, 10)]
    assert {line[1] for line in left[1:]} == {"Your plan has no room for this lead."}

    desk.room(10)  # and what was left out goes in as it was downloaded
    text = io.StringIO()
    csv.writer(text).writerows(left)
    row = desk.take_in(text.getvalue())
    assert (row.leads_new, row.bad) == (4, 0)
    assert len(desk.leads()) == 10
    assert desk.leads()["p9@example.test"].custom == {"Job title": "Boss"}


def test_known_leads_are_updated_when_the_plan_is_full(desk: Desk) -> None:
    desk.take_in(people(3))
    desk.room(3)
    row = desk.take_in(people(5).replace("Boss", "Chief"))
    assert (row.leads_new, row.leads_changed, row.left_out) == (0, 3, 2)
    assert {lead.custom["Job title"] for lead in desk.leads().values()} == {"Chief"}


def test_an_expired_trial_takes_in_nothing(desk: Desk) -> None:
    desk.upload(people(3))
    desk.check()
    with scope(desk.brand):
        BillingAccount.objects.update(trial_ends_at=timezone.now())
    row = desk.job()
    answer = desk.client.post(desk.url(f"{row.pk}/start/"), follow=True)
    assert "Your trial has ended" in texts(answer)
    assert desk.job().state == "checked"
    assert desk.leads() == {}


def test_a_cancelled_import_stops_between_batches_and_keeps_what_it_brought(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "BATCH", 5)
    desk.upload(people(20))
    desk.check()
    control.start(brand_id=desk.brand.pk, import_id=desk.job().pk, actor=make_user())
    monkeypatch.setattr(job, "_over", lambda until: True)  # noqa: ARG005
    job.stride(desk.brand.pk, desk.job().pk)
    desk.client.post(desk.url(f"{desk.job().pk}/cancel/"))
    job.stride(desk.brand.pk, desk.job().pk)
    row = desk.job()
    assert (row.state, row.leads_new, len(desk.leads())) == ("cancelled", 5, 5)
    assert "still here" in texts(desk.client.get(desk.url(f"{row.pk}/")))


def test_imports_of_another_brand_do_not_exist(desk: Desk, client_for: Login) -> None:
    other = make_user()
    theirs = Desk(client_for(other), make_brand(owner=other))
    theirs.upload(people(3))
    row = theirs.job()
    for path in ("", "columns/", "rejected/"):
        assert desk.client.get(desk.url(f"{row.pk}/{path}")).status_code == 404
    for path in ("start/", "cancel/", "columns/"):
        assert desk.client.post(desk.url(f"{row.pk}/{path}")).status_code == 404
    assert theirs.job().state == "mapping"
    assert theirs.check().new == 3


def test_an_erased_brand_takes_its_files_along(desk: Desk, owner: Any) -> None:
    desk.upload(people(3) + "bad,,,,,\n")
    desk.check()
    held = {holding.name: list(holding.rows(desk.brand.pk)) for holding in privacy.holdings()}
    assert held["imports"][0]["name"] == "people.csv"
    assert held["rows_left_out_of_imports"][0]["line"] == 5
    with scope(desk.brand):
        privacy.request_erasure(desk.brand, actor=owner)
    assert privacy.erase(desk.brand.pk)
    with everyone("test"):
        for model in (Import, ImportChunk, ImportAddress, ImportRejection):
            assert not model.objects.exists()


# --- Deaths and races ---------------------------------------------------------------------------


class Killed(BaseException):
    """What a SIGKILL leaves: no handler runs, the transaction is rolled back."""


class Bomb:
    """Kills before the `fuse`th statement that is sent to PostgreSQL."""

    def __init__(self, fuse: int) -> None:
        self.fuse = fuse

    def __call__(self, execute: Any, *args: Any) -> Any:
        self.fuse -= 1
        if self.fuse == 0:
            raise Killed
        return execute(*args)


@pytest.mark.parametrize("phase", ["checking", "running"])
def test_a_kill_before_any_statement_loses_and_doubles_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    monkeypatch.setattr(job, "BATCH", 4)
    desk.upload(people(10) + "p1@example.test,Again,,,,\nbad,,,,,\n")
    row = desk.job()
    if phase == "running":
        desk.check()
        control.start(brand_id=desk.brand.pk, import_id=row.pk, actor=make_user())
    else:
        control.check(
            brand_id=desk.brand.pk, import_id=row.pk, encoding="utf-8", delimiter=",",
            mapping=row.mapping, actor=make_user(),
        )  # fmt: skip
    deaths = 0
    while desk.job().state == phase:
        with suppress(Killed), connection.execute_wrapper(Bomb(deaths + 1)):
            job.stride(desk.brand.pk, row.pk)
        deaths += 1
        with scope(desk.brand):
            Import.objects.update(lease_until=None, attempts=0)
    row = desk.job()
    if phase == "checking":
        assert (row.state, row.rows, row.new, row.bad) == ("checked", 12, 10, 2)
        row = desk.start()
    assert deaths > 20
    assert (row.state, row.done, row.leads_new, row.left_out) == ("finished", 12, 10, 0)
    assert len(desk.leads()) == 10
    assert [line[0] for line in desk.rejected()[1:]] == ["12", "13"]
    with scope(desk.brand):
        assert BillingAccount.objects.get().leads_used == 10


def test_a_worker_whose_lease_ran_out_commits_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers are in the same batch; the one that lost the lease drops it."""
    desk.upload(people(6))
    desk.check()
    control.start(brand_id=desk.brand.pk, import_id=desk.job().pk, actor=make_user())
    real = job._gather

    def overtaken(*args: Any) -> Any:
        batch = real(*args)
        monkeypatch.setattr(job, "_gather", real)
        with scope(desk.brand):
            Import.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        job.stride(desk.brand.pk, desk.job().pk)
        return batch

    monkeypatch.setattr(job, "_gather", overtaken)
    job.stride(desk.brand.pk, desk.job().pk)
    row = desk.job()
    assert (row.state, row.done, row.leads_new) == ("finished", 6, 6)


def test_the_sweep_wakes_what_nobody_carries_and_ends_what_nobody_wants(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[tuple[Any, ...]] = []
    monkeypatch.setattr(sweep, "wake", lambda *given, **_: woken.append(given))
    desk.upload(people(3))
    row = desk.job()
    with scope(desk.brand):
        Import.objects.update(state="running", touched_at=timezone.now() - timedelta(seconds=9))
    sweep.run()
    sweep.run()
    assert woken == [("leads.files.stride", desk.brand.pk, row.pk)]
    for state, age in (("uploading", timedelta(hours=1)), ("checked", timedelta(days=2))):
        with scope(desk.brand):
            Import.objects.update(state=state, touched_at=timezone.now() - age)
        sweep.run()
        assert desk.job().state == "cancelled"
    assert woken[-1] == ("leads.files.clean", desk.brand.pk, row.pk)
    with everyone("test"):
        assert ImportChunk.objects.count() == 1
    sweep.clean(desk.brand.pk, row.pk)
    with everyone("test"):
        assert ImportChunk.objects.count() == 0


def test_an_import_of_ours_that_never_gets_on_fails_in_the_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.upload(people(3))
    desk.check()
    control.start(brand_id=desk.brand.pk, import_id=desk.job().pk, actor=make_user())
    with scope(desk.brand):
        ImportChunk.objects.all().delete()
    for _ in range(job.MOST_CLAIMS):
        with pytest.raises(Exception, match="missing"):
            job.stride(desk.brand.pk, desk.job().pk)
        with scope(desk.brand):
            Import.objects.update(lease_until=None)
    job.stride(desk.brand.pk, desk.job().pk)
    assert desk.job().state == "failed"
    assert "fault on our side" in texts(desk.client.get(desk.url(f"{desk.job().pk}/")))


@pytest.mark.slow
def test_many_workers_at_once_bring_every_lead_once(
    live_db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "BATCH", 20)
    monkeypatch.setattr(job, "_over", lambda until: True)  # noqa: ARG005
    owner = make_user()
    brand = make_brand(owner=owner)
    client = Client()
    client.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    desk = Desk(client, brand)
    desk.upload(people(400))
    desk.check()
    desk.room(250)
    row = desk.job()
    control.start(brand_id=brand.pk, import_id=row.pk, actor=owner)
    barrier = threading.Barrier(6)

    def work(_: int) -> None:
        barrier.wait()
        try:
            while desk.job().state in Import.CARRIED:
                job.stride(brand.pk, row.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(6)))
    row = desk.job()
    assert (row.state, row.done, row.leads_new, row.left_out) == ("finished", 400, 250, 150)
    assert len(desk.leads()) == 250
    assert len(desk.rejected()) == 151


def delete(brand: Any, owner: Any, q: str) -> None:
    from leads.models import BulkJob
    from leads.search import Filters
    from leads.work import bulk, stride

    with scope(brand):
        wish = bulk.Wish(BulkJob.What.DELETE, Filters(q=q))
        done = bulk.start(brand_id=brand.pk, wish=wish, request_key=uuid.uuid4(), actor=owner)
    stride.stride(brand.pk, done.pk)


def test_rows_of_deleted_leads_stay_out_and_are_counted(desk: Desk, owner: Any) -> None:
    desk.take_in(people(4))
    delete(desk.brand, owner, "p1@")
    desk.upload(people(6))
    row = desk.check()
    assert (row.rows, row.new, row.known, row.bad, row.deleted) == (6, 2, 3, 0, 1)
    page = texts(desk.client.get(desk.url(f"{row.pk}/")))
    assert "Deleted before" in page
    assert "You deleted this lead before, so it stays out." in page
    delete(desk.brand, owner, "p2@")  # between the check and the start
    desk.room(100)
    row = desk.start()
    assert (row.leads_new, row.left_out, row.deleted, row.rejected) == (2, 0, 2, 2)
    assert sorted(desk.leads()) == [f"p{n}@example.test" for n in (0, 3, 4, 5)]
    assert "Deleted before" in texts(desk.client.get(desk.url(f"{row.pk}/")))
    left = desk.rejected()
    assert [line[2] for line in left[1:]] == ["p1@example.test", "p2@example.test"]
    assert {line[1] for line in left[1:]} == {"You deleted this lead before, so it stays out."}


def test_a_full_plan_is_not_blamed_for_deleted_leads(desk: Desk, owner: Any) -> None:
    desk.take_in(people(2))
    delete(desk.brand, owner, "p1@")
    desk.room(3)
    row = desk.take_in(people(4))
    assert (row.leads_new, row.left_out, row.deleted) == (1, 1, 1)
    assert {line[2]: line[1] for line in desk.rejected()[1:]} == {
        "p1@example.test": "You deleted this lead before, so it stays out.",
        "p3@example.test": "Your plan has no room for this lead.",
    }


def test_a_file_is_no_activity_of_the_leads_that_it_names(desk: Desk) -> None:
    desk.take_in(people(3))
    with scope(desk.brand):
        Lead.objects.update(last_activity_at=JOINED, joined_at=JOINED)
    row = desk.take_in(people(5).replace("First1", "New"))
    assert (row.leads_new, row.leads_changed) == (2, 1)
    moments = {
        email[:2]: (lead.first_name, lead.joined_at, lead.last_activity_at)
        for email, lead in desk.leads().items()
    }
    assert moments["p0"] == ("First0", JOINED, JOINED)
    assert moments["p1"] == ("New", JOINED, JOINED)
    assert moments["p4"] == ("First4", row.started_at, row.started_at)
