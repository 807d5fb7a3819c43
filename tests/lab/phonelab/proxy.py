"""A registrar and proxy (kamailio), with or without a media relay (rtpengine) beside it on the same host."""

from __future__ import annotations

from phonelab.network import Host, wait_until

NG_PORT = 2223
PASSWORD = "harbour-street-12"

CONFIG = r"""#!KAMAILIO
debug=2
log_stderror=yes
children=2
tcp_children=1
listen=udp:{ip}:5060
listen=tcp:{ip}:5060
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/:/usr/lib/aarch64-linux-gnu/kamailio/modules/"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "sdpops.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "rtpengine.so"
modparam("rtpengine", "rtpengine_sock", "udp:127.0.0.1:{ng_port}")
modparam("rtpengine", "write_sdp_pv", "$avp(sdp)")
modparam("usrloc", "db_mode", 0)
modparam("tm", "fr_inv_timer", {ring_ms})
modparam("tm", "fr_timer", 5000)
{trace}

request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (has_totag()) {{
        if (!loose_route()) {{
            if (is_method("ACK") && t_check_trans()) t_relay();
            exit;
        }}
        if ({relay} && is_method("BYE")) rtpengine_delete();
        if ({relay} && is_method("INVITE") && has_body("application/sdp")) {{
            if (is_direction("downstream")) {{ rtpengine_offer("{far}"); t_on_reply("TO_CALLER"); }}
            else {{ rtpengine_offer("{near}"); t_on_reply("TO_CALLEE"); }}
            route(SDP);
        }}
        t_relay();
        exit;
    }}
    t_check_trans();
    if (is_method("REGISTER")) {{
        if ({auth} && !pv_www_authenticate("$td", "{password}", "0")) {{ www_challenge("$td", "1"); exit; }}
        save("location");
        exit;
    }}
    if (is_method("INVITE")) {{
        if ({auth}) {{
            if (!pv_proxy_authenticate("$fd", "{password}", "0")) {{ proxy_challenge("$fd", "1"); exit; }}
            consume_credentials();
        }}
        record_route();
        # baresip dials the URI of Refer-To as it is, its escapes spoilt: said as RFC 3891 says it.
        if ($ou =~ "Replaces=") {{
            $var(tags) = $(ou{{re.subst,|.*Replaces=||}}{{re.subst,|\?(to-tag)\?|;\1=|}});
            $var(tags) = $(var(tags){{re.subst,|\?(from-tag)\?|;\1=|}});
            append_hf("Replaces: $var(tags)\r\n");
        }}
        if (!lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
        if ({relay} && has_body("application/sdp")) {{
            rtpengine_offer("{far}");
            if ({stripped}) $avp(sdp) = $(avp(sdp){{re.subst,|{strip}[A-Za-z0-9_ :+/=]*|a=x-withdrawn|}});
            route(SDP);
        }}
        t_on_reply("TO_CALLER");
    }}
    t_relay();
}}

route[SDP] {{
    set_body("$avp(sdp)", "application/sdp");
}}

onreply_route[TO_CALLER] {{
    if ({relay} && t_check_status("18[0-9]|2[0-9][0-9]") && has_body("application/sdp")) {{
        rtpengine_answer("{near}");
        route(SDP);
    }}
}}

onreply_route[TO_CALLEE] {{
    if ({relay} && t_check_status("18[0-9]|2[0-9][0-9]") && has_body("application/sdp")) {{
        rtpengine_answer("{far}");
        route(SDP);
    }}
}}
"""

REPLACE = "replace-origin replace-session-connection"
# What rtpengine makes of the media on the hop to the callee and on the hop to the caller.
PLAIN = f"{REPLACE} RTP/AVP"
SECURE = f"{REPLACE} RTP/SAVP DTLS=off"


#: Copies of all signalling, by HEP version 3.
TRACE = """\
loadmodule "siptrace.so"
modparam("siptrace", "trace_mode", 1)
modparam("siptrace", "trace_to_database", 0)
modparam("siptrace", "hep_mode_on", 1)
modparam("siptrace", "hep_version", 3)
modparam("siptrace", "hep_capture_id", 2001)
modparam("siptrace", "auth_key", "{password}")
modparam("siptrace", "trace_on", 1)
modparam("siptrace", "duplicate_uri", "{uri}")
"""


class Proxy:
    """Registrar and proxy of one host. ``relay`` sends the media through rtpengine on the same host, so
    that both hops of a call pass the host's switch port, with ``near`` and ``far`` as rtpengine's flags for
    the hops to the caller and to the callee; a line of SDP that begins with ``strip`` is withdrawn from
    what the callee is offered. ``auth`` challenges REGISTER (401) and INVITE (407). ``trace`` is a SIP URI
    that gets a copy of all signalling by HEP, with the password as its key."""

    def __init__(
        self,
        host: Host,
        *,
        relay: bool = False,
        auth: bool = False,
        ring_s: float = 60.0,
        trace: str = "",
        near: str = REPLACE,
        far: str = REPLACE,
        strip: str = "",
    ) -> None:
        self.host = host
        if relay:
            host.start(
                "rtpengine", f"--interface={host.ip}", f"--listen-ng=127.0.0.1:{NG_PORT}", "--table=-1",
                "--foreground", "--log-stderr", "--log-level=6", "--port-min=30000", "--port-max=30200",
                log="rtpengine.log",
            )  # fmt: skip
            wait_until(lambda: self._bound("udp", NG_PORT), "rtpengine")
        switches = {"relay": relay, "auth": auth, "stripped": bool(strip)}
        config = CONFIG.format(
            ip=host.ip, ng_port=NG_PORT, password=PASSWORD, ring_ms=int(ring_s * 1000),
            trace=TRACE.format(password=PASSWORD, uri=trace) if trace else "",
            near=near, far=far, strip=strip,
            **{name: "1==1" if on else "1==0" for name, on in switches.items()},
        )  # fmt: skip
        (host.directory / "kamailio.cfg").write_text(config)
        host.start(
            "kamailio", "-f", host.directory / "kamailio.cfg", "-DD", "-E", "-Y", host.directory,
            "-m", 16, "-M", 4, log="kamailio.log",
        )  # fmt: skip
        wait_until(lambda: self._bound("tcp", 5060), "kamailio")

    def account(self, user: str) -> str:
        """The baresip account that registers ``user`` here and sends its calls here."""
        way = f'regint=600;outbound="sip:{self.host.ip}"'
        return f"<{self.uri(user)}>;auth_pass={PASSWORD};{way}"

    def uri(self, user: str) -> str:
        return f"sip:{user}@{self.host.ip}"

    def _bound(self, transport: str, port: int) -> bool:
        return f":{port} " in self.host.run("ss", "-Hln", f"--{transport}")
