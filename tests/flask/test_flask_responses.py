"""What happens to a response: order, errors, outages, streams, cookies and caches."""

import logging

import pytest
from flask import Response, abort, render_template_string, session, stream_with_context
from sessionbag import ConfigurationError, HeadersAlreadySent, SessionConflict, StoreUnavailable
from sessionbag_flask import session as typed_session
from werkzeug.exceptions import HTTPException


def begin(app):
    """Give the application a page that begins a session, and one that shows it."""
    app.add_url_rule("/begin", "begin", lambda: session.update(a=1) or "begun")
    app.add_url_rule("/show", "show", lambda: dict(session))


def test_the_session_is_saved_after_all_that_may_change_the_response(app, visitor):
    """Functions for after_request of the application and of one request see it open; those for teardown do not."""
    order = []
    begin(app)

    @app.after_request
    def after(response):
        session["after"] = order.append("after") or True
        return response

    @app.teardown_request
    def teardown(error):
        order.append("teardown")

    visitor.get("/begin")

    assert order == ["after", "teardown"]
    assert visitor.get("/show").json == {"a": 1, "after": True}


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_error_leaves_the_store_as_it_was(app, visitor, status):
    """Also where the view answers it by itself."""
    begin(app)
    app.add_url_rule("/fails", "fails", lambda: (session.update(a=2) or "", status))
    visitor.get("/begin")

    assert visitor.get("/fails").status_code == status
    assert visitor.get("/show").json == {"a": 1}


@pytest.mark.parametrize("status", [400, 403, 404, 409])
def test_what_an_error_of_the_client_changed_is_saved(app, visitor, status):
    """A form that is refused with a message flashes it."""
    begin(app)
    app.add_url_rule("/refused", "refused", lambda: session.update(a=2) or abort(status))
    visitor.get("/begin")
    visitor.get("/refused")

    assert visitor.get("/show").json == {"a": 2}


def test_an_exception_leaves_the_store_as_it_was(app, visitor):
    """Flask answers it with 500."""
    begin(app)
    app.add_url_rule("/fails", "fails", lambda: session.update(a=2) or 1 / 0)
    visitor.get("/begin")

    assert visitor.get("/fails").status_code == 500
    assert visitor.get("/show").json == {"a": 1}


def test_an_exception_that_an_error_handler_turns_into_a_page_is_no_failure(app, visitor):
    """What was set before it is saved, and so is what the handler sets."""
    begin(app)
    app.add_url_rule("/fails", "fails", lambda: session.update(a=2) or 1 / 0)

    @app.errorhandler(ZeroDivisionError)
    def divided(error):
        session["handled"] = True
        return "sorry", 422

    visitor.get("/begin")

    assert visitor.get("/fails").status_code == 422
    assert visitor.get("/show").json == {"a": 2, "handled": True}


def test_an_error_page_may_show_the_session(app, visitor):
    """Handlers of errors run within the request."""
    begin(app)
    app.register_error_handler(500, lambda error: (f"sorry {session['a']}", 500))
    app.add_url_rule("/fails", "fails", lambda: 1 / 0)
    visitor.get("/begin")

    assert visitor.get("/fails").text == "sorry 1"


def test_what_was_saved_before_an_exception_keeps_its_cookie(app, visitor, cookies):
    """The client has to know the id of what it has."""
    begin(app)
    app.add_url_rule("/fails", "fails", lambda: session.update(a=1) or session.save() or 1 / 0)

    response = visitor.get("/fails")

    assert response.status_code == 500
    assert "session" in cookies(response)
    assert visitor.get("/show").json == {"a": 1}


def test_exceptions_reach_tests_and_debuggers_as_ever(make_app):
    """With TESTING they are raised, and the session is left alone."""
    app = make_app(TESTING=True)
    begin(app)
    app.add_url_rule("/fails", "fails", lambda: session.update(a=2) or 1 / 0)
    visitor = app.test_client()
    visitor.get("/begin")

    with pytest.raises(ZeroDivisionError):
        visitor.get("/fails")

    assert visitor.get("/show").json == {"a": 1}


@pytest.mark.parametrize("out", ["read", "write"])
def test_an_outage_is_answered_with_503(app, visitor, store, out, caplog):
    """Whether the store is asked by the view or when the response goes out."""
    begin(app)
    app.add_url_rule("/", "home", lambda: session.update(a=2) or "")
    visitor.get("/begin")
    store.out = {out}

    response = visitor.get("/")

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert "Set-Cookie" not in response.headers
    assert "store is out" in caplog.text
    store.out = set()
    assert visitor.get("/show").json == {"a": 1}


@pytest.mark.parametrize("out", ["read", "write"])
def test_an_outage_has_the_applications_own_page(app, visitor, store, out):
    """Its handler for 503 is asked, and the headers of the page that was replaced are gone."""
    begin(app)
    app.register_error_handler(503, lambda error: ("soon again", 503, {"X-Page": "503"}))
    app.add_url_rule("/", "home", lambda: (session.update(a=2) or "", 200, {"X-Page": "home"}))
    visitor.get("/begin")
    store.out = {out}

    response = visitor.get("/")

    assert (response.status_code, response.text, response.headers["X-Page"]) == (503, "soon again", "503")


def test_an_outage_whose_page_needs_the_session_is_answered_all_the_same(app, visitor, store):
    """A plain page takes its place."""
    begin(app)
    app.register_error_handler(503, lambda error: (f"sorry {session['a']}", 503))
    app.register_error_handler(500, lambda error: (f"sorry {session['a']}", 500))
    visitor.get("/begin")
    store.out = {"read"}

    response = visitor.get("/show")

    assert response.status_code == 503
    assert "try again" in response.text


def test_an_outage_in_every_page_is_answered_with_503(app, visitor, store):
    """Not even functions for after_request that want the session keep it from that."""
    begin(app)
    app.after_request(lambda response: (session.setdefault("a", 2), session.pop("b", None), response)[-1])
    visitor.get("/begin")
    store.out = {"read"}

    response = visitor.get("/show")

    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")


def test_an_application_may_answer_outages_in_its_own_way(make_app, store):
    """A handler for `StoreUnavailable`, registered before or after the extension."""
    app = make_app()
    begin(app)
    app.register_error_handler(StoreUnavailable, lambda error: ("own way", 418))
    visitor = app.test_client()
    visitor.get("/begin")
    store.out = {"read"}

    assert visitor.get("/show").text == "own way"


def test_requests_go_on_without_their_session_where_that_is_asked_for(make_app, store):
    """``SESSIONBAG_ON_OUTAGE = "anonymous"``: a page is shown, and what would change the session is 503."""
    app = make_app(SESSIONBAG_ON_OUTAGE="anonymous")
    begin(app)
    visitor = app.test_client()
    visitor.get("/begin")
    store.out = {"read"}

    shown, changed = visitor.get("/show"), visitor.get("/begin")

    assert (shown.status_code, shown.json, changed.status_code) == (200, {}, 503)
    assert shown.headers["Cache-Control"] == "no-store"


def test_what_saving_raises_comes_to_the_applications_error_handlers(app, visitor):
    """As if the view had raised it."""
    begin(app)
    app.register_error_handler(SessionConflict, lambda error: ("again", 409))

    @app.get("/strict")
    def strict():
        session.start("strict")
        session["a"] = 2
        other = app.test_client()
        other.bring(session.get_id())
        other.get("/other")
        return ""

    app.add_url_rule("/other", "other", lambda: session.update(a=3) or "")
    visitor.get("/begin")

    response = visitor.get("/strict")

    assert (response.status_code, response.text) == (409, "again")
    assert visitor.get("/show").json == {"a": 3}


def test_a_function_for_after_request_that_always_fails_loses_the_session_and_no_lock(app, visitor, store):
    """Flask then sends its page without saving."""
    begin(app)
    app.add_url_rule("/lock", "lock", lambda: (session.start("lock") and session.update(a=2)) or "")
    visitor.get("/begin")
    app.after_request_funcs[None] = [lambda response: 1 / 0]

    assert visitor.get("/lock").status_code == 500
    app.after_request_funcs[None] = []
    assert visitor.get("/show").json == {"a": 1}


def test_a_stream_is_saved_again_at_its_end(app, visitor):
    """What changed before it began is saved before its headers go out, the rest when it ends."""
    begin(app)

    @app.get("/stream")
    def stream():
        session["before"] = 1

        def body():
            yield "one"
            session["during"] = 2
            yield "two"
            session["after"] = 3

        return Response(stream_with_context(body()))

    visitor.get("/begin")

    assert visitor.get("/stream").text == "onetwo"
    assert visitor.get("/show").json == {"a": 1, "before": 1, "during": 2, "after": 3}


def test_a_stream_without_the_context_saves_what_its_own_reference_changed(app, visitor):
    """``session._get_current_object()`` outlives Flask's context."""
    begin(app)

    @app.get("/stream")
    def stream():
        mine = session._get_current_object()
        mine["before"] = 1

        def body():
            mine["during"] = 2
            yield "x"

        return Response(body())

    visitor.get("/begin")
    visitor.get("/stream").close()

    assert visitor.get("/show").json == {"a": 1, "before": 1, "during": 2}


def test_a_stream_cannot_begin_a_session(app, visitor, store):
    """No cookie could follow: it is told, whether it reads or writes."""
    raised = []

    @app.get("/stream")
    def stream():
        def body():
            for touch in (lambda: session.get("a"), lambda: session.update(a=1), session.regenerate_id):
                try:
                    touch()
                except HeadersAlreadySent:
                    raised.append(True)
            yield "x"

        return Response(stream_with_context(body()))

    visitor.get("/stream").close()

    assert raised == [True, True, True]
    assert store.taken() == []


def test_a_stream_that_fails_saves_nothing_more(app, visitor):
    """What it changed before the exception is dropped."""
    begin(app)

    @app.get("/stream")
    def stream():
        session["before"] = 1

        def body():
            yield "one"
            session["during"] = 2
            yield str(1 / 0)

        return Response(stream_with_context(body()))

    visitor.get("/begin")
    with pytest.raises(ZeroDivisionError):
        visitor.get("/stream").get_data()

    assert visitor.get("/show").json == {"a": 1, "before": 1}


def test_a_late_save_that_fails_is_logged(app, visitor, store, caplog):
    """The response is out, so there is nobody else to tell."""
    begin(app)

    @app.get("/stream")
    def stream():
        session.get("a")

        def body():
            session["late"] = 1
            store.out = {"write"}
            yield "x"

        return Response(stream_with_context(body()))

    visitor.get("/begin")
    with caplog.at_level(logging.ERROR, "sessionbag.flask"):
        assert visitor.get("/stream").text == "x"

    assert "could not be saved" in caplog.text


def test_a_template_that_streams_and_a_file_are_passed_on(app, visitor, tmp_path):
    """Files go out as Flask sends them."""
    from flask import send_file, stream_template_string  # noqa: PLC0415  # where they are used

    (tmp_path / "file.txt").write_text("file")
    begin(app)
    app.add_url_rule("/file", "file", lambda: session.update(f=1) or send_file(tmp_path / "file.txt"))
    app.add_url_rule(
        "/template", "template", lambda: stream_template_string("{{ session['a'] }} {{ session.get('f') }}")
    )
    visitor.get("/begin")
    with visitor.get("/file") as sent:
        assert sent.data == b"file"

    app.view_functions["show"] = lambda: render_template_string("{{ session['a'] }} {{ session['f'] }}")
    assert visitor.get("/show").text == "1 1"


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_stream_whose_body_nobody_asks_for_gives_its_lock_back(make_app, method):
    """HEAD, and the statuses without a body: then the body is never run."""
    app = make_app(SESSIONBAG_LOCK_WAIT=0)
    visitor = app.test_client()
    begin(app)
    status = 200 if method == "HEAD" else 204
    app.add_url_rule("/stream", "stream", lambda: session.start("lock") and Response(iter(["x"]), status))
    visitor.get("/begin")
    visitor.open("/stream", method=method)

    assert visitor.open("/stream", method=method).status_code == status


def test_a_response_that_sets_the_cookie_is_not_stored_and_one_that_read_the_session_varies(app, visitor):
    """Whatever the view says about caching."""
    app.add_url_rule(
        "/begin", "begin", lambda: (session.update(a=1) or "", {"Cache-Control": "public", "Vary": "Accept"})
    )
    app.add_url_rule("/show", "show", lambda: (str(session["a"]), {"Cache-Control": "max-age=5", "Vary": "Accept"}))

    begun, read = visitor.get("/begin"), visitor.get("/show")

    assert (begun.headers["Cache-Control"], begun.headers["Vary"]) == ("no-store", "Accept, Cookie")
    assert (read.headers["Cache-Control"], read.headers["Vary"]) == ("max-age=5", "Accept, Cookie")


def test_another_cookie_of_the_sessions_name_is_refused(make_app):
    """It would log the visitor out, so it is an error with the mend, in tests as well."""
    app = make_app(TESTING=True)

    @app.get("/")
    def home():
        response = Response("")
        response.set_cookie("session", "mine")
        return response

    with pytest.raises(ConfigurationError, match="Give the session another name"):
        app.test_client().get("/")


def test_a_cookie_is_secure_on_https_and_not_on_http(app, cookies):
    """By the request, unless a setting says otherwise."""
    begin(app)

    plain = cookies(app.test_client().get("/begin"))["session"]
    over_tls = cookies(app.test_client().get("/begin", base_url="https://localhost"))["session"]

    assert (plain["secure"], over_tls["secure"]) == ("", True)
    assert plain["httponly"] is over_tls["httponly"] is True
    assert plain["samesite"] == over_tls["samesite"] == "Lax"


def test_a_proxy_that_nobody_trusts_is_told_about_once(app, visitor, caplog):
    """With the name of what to put around the application."""
    begin(app)
    for _ in range(2):
        visitor.get("/begin", headers={"X-Forwarded-Proto": "https"})

    assert caplog.text.count("ProxyFix") == 1


def test_async_views_and_handlers_use_the_session(app, visitor):
    """``flask[async]`` runs them in another thread."""

    @app.get("/async")
    async def view():
        session["a"] = session.get("a", 0) + 1
        typed_session.modify("b", lambda b: b + 1, 0)
        return dict(session)

    @app.errorhandler(404)
    async def missing(error: HTTPException):
        session["missing"] = True
        return "missing", 404

    visitor.get("/async")
    visitor.get("/nowhere")

    assert visitor.get("/async").json == {"a": 2, "b": 2, "missing": True}
