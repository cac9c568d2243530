"""A server without a desktop, a session or a user, with nobody subscribed to PID 1's signals: a suspend is detected all the same."""
# machine: server

cable(server)
static_address(server)
profile(server)
service(server, "job", upgrade("job"))

with subtest("nobody is logged in"):
    assert server.succeed("loginctl list-sessions --no-legend | grep -v ' manager' || true").strip() == ""

with subtest("held during suspend, open after resume when the cable is back"):
    unplug(server)
    server.succeed("systemctl start --no-block job")
    held(server, "[a-z_]+")
    suspend(server, 6)
    assert begun(server, "job") == 0
    plug(server)
    finished(server, "job.service")
    assert begun(server, "job") == runs(server, "job") == 1
