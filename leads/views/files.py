"""Leads in and out as CSV: upload, columns, check, import, the rejected rows, and the export."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.core.files.uploadhandler import FileUploadHandler, SkipFile
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import limits
from accounts.requests import BrandRequest
from accounts.roles import Permission, requires
from billing import entitlements
from leads import words
from leads.files import columns, control, export, rejected, sniff, store
from leads.forms import FilterForm
from leads.models import Import, ImportRejection
from saas.errors import Refused
from saas.tenancy import scope

SHOWN = 20
REASONS = 10
FIELD = "file"
AROUND = 64 * 1024  # what a form adds to its file
PER_PERSON = "60/h"  # exports; each may keep a thread of the web server for a while


class IntoDatabase(FileUploadHandler):
    """Streams the form's file into chunks; nothing of it touches memory or disk for longer."""

    chunk_size = store.CHUNK

    def __init__(self, request: BrandRequest) -> None:
        super().__init__(request)
        self.brand_id, self.person = request.brand.pk, request.user
        self.writer: store.Writer | None = None

    def new_file(self, field_name: str, file_name: str, *args: Any, **kwargs: Any) -> None:
        super().new_file(field_name, file_name, *args, **kwargs)
        if field_name != FIELD or self.writer:
            raise SkipFile
        job = control.begin(brand_id=self.brand_id, name=file_name, actor=self.person)
        self.writer = store.Writer(job)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:  # noqa: ARG002
        if self.writer:
            self.writer.write(raw_data)

    def file_complete(self, file_size: int) -> None:  # noqa: ARG002
        if self.writer:
            self.writer.finish()


@csrf_exempt  # checked by _upload, once the handler is in place: the check reads the whole body
@require_http_methods(["GET", "POST"])
@requires(Permission.WORK_LEADS, scoped=False)
def imports(request: BrandRequest) -> HttpResponse:
    """The live import and those before it; a POST brings a file."""
    if request.method == "POST":
        return _receive(request)
    with scope(request.brand):
        rows = list(Import.objects.exclude(columns=[]).order_by("-id")[:SHOWN])
        live = control.live()
        context = {
            "live": live and _watched(live),
            "past": [_watched(row) for row in rows if not row.live],
            "rights": entitlements.of(request.brand.pk),
        }
        return render(request, "leads/imports.html", context)


def _receive(request: BrandRequest) -> HttpResponse:
    here = redirect("leads:imports", slug=request.brand.slug)
    if int(request.META.get("CONTENT_LENGTH") or 0) > control.LARGEST + AROUND:
        messages.error(request, "The file is larger than 1 GB. Split it, and upload the parts.")
        return here
    with scope(request.brand):
        if control.live():
            messages.error(request, "Finish or cancel the import that is open first.")
            return here
    handler = IntoDatabase(request)
    request.upload_handlers = [handler]
    try:
        return _upload(request)
    except Refused as e:
        messages.error(request, e.message)
        return here
    finally:
        if handler.writer:
            control.abandon(handler.writer.job)  # unless it was accepted


@csrf_protect
def _upload(request: BrandRequest) -> HttpResponse:
    # `whole` comes after the file in the form: a body that was cut off does not have it.
    [handler] = request.upload_handlers
    if "whole" not in request.POST:
        raise Refused("cut_off", "The upload broke off. Upload the file again.")
    if not isinstance(handler, IntoDatabase) or handler.writer is None:
        raise Refused("no_file", "Choose a CSV file first.")
    job = control.accept(handler.writer, actor=request.user)
    return redirect("leads:import_columns", slug=request.brand.slug, import_id=job.pk)


@never_cache
@require_GET
@requires(Permission.WORK_LEADS, scoped=False)
def one(request: BrandRequest, import_id: int) -> HttpResponse:
    """One import: what the check found, or how far it is. htmx fetches the live part."""
    with scope(request.brand):
        job = _job(import_id)
        if job.state == Import.State.MAPPING:
            return redirect("leads:import_columns", slug=request.brand.slug, import_id=job.pk)
        context = _watched(job) | {
            "rights": entitlements.of(request.brand.pk),
            "rejections": ImportRejection.objects.filter(job=job).order_by("line")[:REASONS],
            "kept": rejected.KEPT,
        }
        template = "leads/import_live.html" if request.htmx else "leads/import.html"
        return render(request, template, context)


@require_http_methods(["GET", "POST"])
@requires(Permission.WORK_LEADS, scoped=False)
def mapping(request: BrandRequest, import_id: int) -> HttpResponse:
    """What each column becomes, beside the first rows; a POST begins the check."""
    with scope(request.brand):
        job = _job(import_id)
    if job.state not in Import.WAITING:
        return redirect("leads:import", slug=request.brand.slug, import_id=job.pk)
    given = request.POST or request.GET
    encoding = _one_of(Import.Encoding.values, given.get("encoding"), job.encoding)
    delimiter = _one_of(Import.Delimiter.values, given.get("delimiter"), job.delimiter)
    error = ""
    if request.method == "POST":
        chosen = request.POST.getlist("column")
        try:
            control.check(
                brand_id=request.brand.pk, import_id=job.pk, encoding=encoding,
                delimiter=delimiter, mapping=chosen, actor=request.user,
            )  # fmt: skip
            return redirect("leads:import", slug=request.brand.slug, import_id=job.pk)
        except Refused as e:
            error = e.message
    context = _columns(job, encoding, delimiter, request.POST.getlist("column"))
    with scope(request.brand):
        context |= {"job": job, "error": error, "encoding": encoding, "delimiter": delimiter}
        return render(request, "leads/import_columns.html", context, status=422 if error else 200)


def _columns(job: Import, encoding: str, delimiter: str, chosen: list[str]) -> dict[str, Any]:
    try:
        table = sniff.table(store.start(job), encoding, delimiter)
    except Refused as e:  # a file of one kind read as another
        return {"unreadable": e.message, "columns": [], "choices": columns.CHOICES,
                "model": Import}  # fmt: skip
    as_saved = (encoding, delimiter) == (job.encoding, job.delimiter)
    guessed = job.mapping if as_saved else columns.guess(table.columns, table.rows)
    fields = chosen if len(chosen) == len(table.columns) else guessed
    samples = list(zip(*table.rows, strict=True)) or [()] * len(table.columns)
    named = zip(columns.own_names(table.columns), fields, samples, strict=True)
    return {
        "columns": [
            {"name": name, "field": field, "samples": [cell for cell in cells if cell][:3]}
            for name, field, cells in named
        ],
        "choices": columns.CHOICES,
        "no_names": columns.no_names(table.columns),
        "model": Import,
    }


@require_POST
@requires(Permission.WORK_LEADS, scoped=False)
def start(request: BrandRequest, import_id: int) -> HttpResponse:
    return _moved(request, import_id, control.start)


@require_POST
@requires(Permission.WORK_LEADS, scoped=False)
def cancel(request: BrandRequest, import_id: int) -> HttpResponse:
    return _moved(request, import_id, control.cancel)


def _moved(request: BrandRequest, import_id: int, move: Any) -> HttpResponse:
    try:
        move(brand_id=request.brand.pk, import_id=import_id, actor=request.user)
    except Refused as e:
        if e.code == "missing":
            raise Http404 from e
        messages.error(request, e.message)
    return redirect("leads:import", slug=request.brand.slug, import_id=import_id)


@require_GET
@requires(Permission.WORK_LEADS, scoped=False)
def rejections(request: BrandRequest, import_id: int) -> StreamingHttpResponse:
    """The rows that were left out, with their lines and reasons."""
    with scope(request.brand):
        job = _job(import_id)
    stem = job.name.removesuffix(".csv")[:80]
    return _attached(rejected.as_csv(job), f"{stem}-rejected.csv")


@require_GET
@requires(Permission.WORK_LEADS, scoped=False)
def leads_csv(request: BrandRequest) -> StreamingHttpResponse:
    """What the list shows under these filters, all of it."""
    limits.count(request, "leads.export", PER_PERSON)
    with scope(request.brand):
        filters = FilterForm(request.brand.pk, request.GET).filters()
    export.note(request.brand, filters, actor=request.user)
    day = timezone.localdate().isoformat()
    lines = export.stream(request.brand.pk, filters)
    return _attached(lines, f"{request.brand.slug}-leads-{day}.csv")


def _attached(content: Iterator[bytes], name: str) -> StreamingHttpResponse:
    response = StreamingHttpResponse(content, content_type="text/csv; charset=utf-8")
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)
    response["Content-Disposition"] = f'attachment; filename="{plain}"'
    return response


def _job(import_id: int) -> Import:
    try:
        return control.get(import_id)
    except Refused as e:
        raise Http404 from e


def _one_of(values: list[str], given: str | None, otherwise: str) -> str:
    return given if given in values else otherwise


def _watched(job: Import) -> dict[str, Any]:
    return {"job": job, "said": words.import_line(job), "progress": words.import_progress(job)}
