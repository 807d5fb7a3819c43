"""From frames to calls: capture sources, link/IP/UDP parsing, SIP, SDP, dialogs, RTP streams."""
