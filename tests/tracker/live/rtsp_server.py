"""An RTSP server of GStreamer, run by the system's Python: `python3 rtsp_server.py PORT`.

It serves a test picture at rtsp://user:secret@127.0.0.1:PORT/live in H.264. Debian's packages: python3-gi,
gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-base, -good and -ugly.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PIPELINE = (
    "( videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=25/1 ! "
    "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph264pay name=pay0 pt=96 )"
)

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
permissions = {"media.factory.access": True, "media.factory.construct": True}
auth = GstRtspServer.RTSPAuth()
token = GstRtspServer.RTSPToken()
token.set_string("media.factory.role", "user")
auth.add_basic(GstRtspServer.RTSPAuth.make_basic("user", "secret"), token)
server.set_auth(auth)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(PIPELINE)
factory.set_shared(True)
role = Gst.Structure.new_empty("user")
for name, value in permissions.items():
    role.set_value(name, value)
factory.add_role_from_structure(role)
server.get_mount_points().add_factory("/live", factory)
server.attach(None)
sys.stdout.write("ready\n")
sys.stdout.flush()
GLib.MainLoop().run()
