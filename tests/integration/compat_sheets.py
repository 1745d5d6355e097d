"""What lal (HTTP API v0.4.9, notify v0.2.5) and livego say, field by field: names and types as their servers have
them, and a comparison that names the place of each difference."""


class Null:
    """null, or this."""

    def __init__(self, sheet):
        self.sheet = sheet


class OneOf:
    def __init__(self, *values):
        self.values = values


CODE = {"error_code": int, "desp": str}
INFO = {"server_id": str, "bin_info": str, "lal_version": str, "api_version": str, "notify_version": str,
        "WebUiVersion": str, "start_time": str}
SESSION = {"session_id": str, "protocol": OneOf("RTMP", "RTSP", "FLV", "TS", "PS", "HLS", "CUSTOMIZE", "MP4", ""),
           "base_type": OneOf("PUB", "SUB", "PUSH", "PULL", ""), "remote_addr": str, "start_time": str,
           "read_bytes_sum": int, "wrote_bytes_sum": int, "bitrate_kbits": int, "read_bitrate_kbits": int,
           "write_bitrate_kbits": int}
GROUP = {"stream_name": str, "app_name": str, "audio_codec": OneOf("AAC", "PCMU", "PCMA", "OPUS", ""),
         "video_codec": OneOf("H264", "H265", ""), "video_width": int, "video_height": int, "pub": SESSION,
         "subs": Null([SESSION]), "pull": SESSION, "in_frame_per_sec": [{"unix_sec": int, "v": int}]}


def reply(data):
    return {**CODE, "data": data}


LAL = {
    "lal_info": reply(INFO),
    "group": reply(GROUP),
    "all_group": reply({"groups": Null([GROUP])}),
    "start_relay_pull": reply({"stream_name": str, "session_id": str}),
    "stop_relay_pull": reply({"session_id": str}),
    "error": reply(Null(dict)),
}

_OF_SESSION = {"server_id": str, "session_id": str, "protocol": SESSION["protocol"], "remote_addr": str, "url": str,
               "app_name": str, "stream_name": str, "url_param": str, "has_in_session": bool,
               "has_out_session": bool, "read_bytes_sum": int, "wrote_bytes_sum": int}
LAL_NOTIFY = {
    "on_server_start": INFO,
    "on_update": {"server_id": str, "groups": Null([GROUP])},
    "on_pub_start": {**_OF_SESSION, "base_type": OneOf("PUB")},
    "on_pub_stop": {**_OF_SESSION, "base_type": OneOf("PUB")},
    "on_sub_start": {**_OF_SESSION, "base_type": OneOf("SUB")},
    "on_sub_stop": {**_OF_SESSION, "base_type": OneOf("SUB")},
    "on_relay_pull_start": {**_OF_SESSION, "base_type": OneOf("PULL")},
    "on_relay_pull_stop": {**_OF_SESSION, "base_type": OneOf("PULL")},
    "on_rtmp_connect": {"server_id": str, "session_id": str, "remote_addr": str, "app": str, "flashVer": str,
                        "tcUrl": str},
    "on_hls_make_ts": {"server_id": str, "event": OneOf("open", "close"), "stream_name": str, "cwd": str,
                       "ts_file": str, "live_m3u8_file": str, "record_m3u8_file": str, "id": int, "duration": float},
}

_LIVE = {"key": str, "url": str, "stream_id": int, "video_total_bytes": int, "video_speed": int,
         "audio_total_bytes": int, "audio_speed": int}
_SHORT = {"key": str, "id": str}
LIVEGO = {
    "text": {"status": int, "data": str},
    "livestat": {"status": int, "data": {"publishers": [_LIVE], "players": [_LIVE]}},
    "streams": {"publishers": [_SHORT], "players": [_SHORT]},
}


def differences(sheet, found, where="body"):
    """What is not as in the sheet, each with its place."""
    if isinstance(sheet, Null):
        return [] if found is None else differences(sheet.sheet, found, where)
    if isinstance(sheet, OneOf):
        return [] if found in sheet.values else [f"{where}: {found!r} is none of {sheet.values}"]
    if isinstance(sheet, type):
        return [] if type(found) is sheet else [f"{where}: {found!r} is no {sheet.__name__}"]
    if type(found) is not type(sheet):
        return [f"{where}: {found!r} is no {type(sheet).__name__}"]
    if isinstance(sheet, list):
        return [text for i, item in enumerate(found) for text in differences(sheet[0], item, f"{where}[{i}]")]
    wrong = [f"{where}: {key} is missing" for key in sheet.keys() - found.keys()]
    wrong += [f"{where}: {key} is not in the sheet" for key in found.keys() - sheet.keys()]
    for key in sheet.keys() & found.keys():
        wrong += differences(sheet[key], found[key], f"{where}.{key}")
    return wrong
