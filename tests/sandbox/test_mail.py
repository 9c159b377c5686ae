"""A mail that is sent can be read, clicked and counted, and can't do anything to its reader."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from typing import Any

import pytest

from sandbox.mail.app import linked
from sandbox.mail.store import links
from tests.sandbox.conftest import Running

LINK = "http://127.0.0.1:8000/accounts/confirm-email/MQ:1t/"


def letter(subject: str = "Confirm your address", **headers: str) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = "Harbor <no-reply@harbor.example>"
    message["To"] = headers.get("to", "Ann <ann@example.org>")
    message.set_content(f"Hello Änn,\nconfirm here: {LINK}.\n")
    message.add_alternative(
        f'<p>Hello</p><a href="{LINK}">Confirm</a><script>alert(1)</script>', subtype="html"
    )
    return message


def send(running: Running, message: EmailMessage | bytes, *to: str) -> None:
    with smtplib.SMTP("127.0.0.1", running.smtp_port) as smtp:
        if isinstance(message, bytes):
            smtp.sendmail("raw@harbor.example", list(to), message)
        else:
            smtp.send_message(message, to_addrs=list(to) or None)


def received(running: Running, **query: str) -> list[dict[str, Any]]:
    answer = running.client.get("/mail/_control/messages", params=query).json()
    messages: list[dict[str, Any]] = answer["messages"]
    assert answer["count"] == len(messages)
    return messages


@pytest.fixture(autouse=True)
def empty(running: Running) -> None:
    assert running.client.post("/mail/_control/reset").json() == {"reset": True}


def test_a_mail_comes_back_as_it_was_sent(running: Running) -> None:
    send(running, letter("Grüße & mehr"))
    (mail,) = received(running, to="ANN@example.org")
    assert mail["subject"] == "Grüße & mehr"
    assert mail["from"] == "Harbor <no-reply@harbor.example>"
    assert mail["recipients"] == ["ann@example.org"]
    assert mail["text"] == f"Hello Änn,\nconfirm here: {LINK}.\n"
    assert mail["links"] == [LINK]
    assert received(running, to="bob@example.org") == []


def test_blind_copies_are_found_by_their_recipient(running: Running) -> None:
    send(running, letter(), "ann@example.org", "blind@example.org")
    assert [mail["to"] for mail in received(running, to="blind@example.org")] == [
        "Ann <ann@example.org>"
    ]


def test_the_newest_mail_is_first_and_words_find_mails(running: Running) -> None:
    send(running, letter("First"))
    send(running, letter("Second"))
    assert [mail["subject"] for mail in received(running)] == ["Second", "First"]
    assert [mail["subject"] for mail in received(running, q="first")] == ["First"]
    page = running.client.get("/mail/").text
    assert page.index("Second") < page.index("First")
    assert "First" not in running.client.get("/mail/", params={"q": "second"}).text
    assert "Nothing found" in running.client.get("/mail/", params={"q": "<third>"}).text


def test_an_empty_mailbox_says_what_to_do(running: Running) -> None:
    assert "No mail yet" in running.client.get("/mail/").text


def test_the_page_of_a_mail_links_its_addresses_and_escapes_the_rest(running: Running) -> None:
    send(running, letter("<script>alert(2)</script>"))
    number = received(running)[0]["id"]
    answer = running.client.get(f"/mail/{number}/")
    assert f'<a href="{LINK}">{LINK}</a>.' in answer.text
    assert "<script" not in answer.text
    assert "style=" not in answer.text
    assert "'unsafe" not in answer.headers["content-security-policy"]
    assert f'<iframe src="/mail/{number}/html"' in answer.text


def test_the_html_of_a_mail_runs_nothing(running: Running) -> None:
    send(running, letter())
    answer = running.client.get(f"/mail/{received(running)[0]['id']}/html")
    assert f'<a href="{LINK}">Confirm</a>' in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith(
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'"
    )
    assert "script-src" not in policy
    assert "allow-scripts" not in policy


def test_a_mail_that_is_gone_says_so(running: Running) -> None:
    assert running.client.get("/mail/999999/").status_code == 404
    assert running.client.get("/mail/999999/html").status_code == 404


def test_all_mails_can_be_deleted_from_the_page_but_not_from_elsewhere(running: Running) -> None:
    send(running, letter())
    foreign = running.client.post("/mail/clear", headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
    assert len(received(running)) == 1
    assert running.client.post("/mail/clear").status_code == 303
    assert received(running) == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no headers at all",
        b"Subject: =?utf-8?b?broken\r\n\r\n\xff\xfe\x00",
        b"Content-Type: text/plain; charset=klingon\r\n\r\nnuqneH \xff",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhalf",
        b"From: a@b\r\nFrom: c@d\r\nTo: \xc3\xa4@b\r\n\r\ntext",
        b"To: <<<\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!",
    ],
)
def test_a_broken_mail_is_kept_and_shown(running: Running, raw: bytes) -> None:
    send(running, raw, "ann@example.org")
    (mail,) = received(running, to="ann@example.org")
    assert running.client.get(f"/mail/{mail['id']}/").status_code == 200
    assert running.client.get("/mail/").status_code == 200


def test_links_stop_before_punctuation() -> None:
    assert links(f"See {LINK}. Or (https://a.example/b), <https://c.example/?d=1&e=2>") == [
        LINK, "https://a.example/b", "https://c.example/?d=1&e=2",
    ]  # fmt: skip
    assert linked('<b> http://a.example/?x=1&y="2').startswith(
        '&lt;b&gt; <a href="http://a.example/?x=1&amp;y=">'
    )
