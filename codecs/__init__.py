"""From payloads to audio: G.711 tables, the timeline that places and mixes, telephone events."""
