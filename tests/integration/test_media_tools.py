"""Decoding of video, audio and subtitles, tested with real files and the real decoder."""

import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from scenedetect import FrameTimecode, StatsManager
from scenedetect.detectors import ContentDetector

from filmgate.core.errors import Invalid
from filmgate.media.time import milliseconds
from filmgate.tools import subtitles
from filmgate.tools.containers import inspect
from filmgate.tools.decoding import (
    SoundReader,
    VideoReader,
    _AudioTimeline,
    _VideoTimeline,
    channel_correlation,
    fitted_size,
    pixels,
    upright,
)
from filmgate.tools.frame_change import measure_changes
from filmgate.tools.speech import PocketSphinx, utterances
from support.films import COLOURS, film_of_shots, picture, write_film, write_tone

SRT = """1
00:00:00,100 --> 00:00:00,900
<i>Check</i> the gate
twice

2
00:00:01,000 --> 00:00:01,500
{\\an8}Moving on
"""


def frame_times_ms(path: Path) -> list[int]:
    return [milliseconds(frame.time) for frame in VideoReader(path)]


def test_frames_have_their_exact_times_at_a_variable_rate(tmp_path: Path) -> None:
    stamps = [0, 40, 70, 500, 505, 1900]
    film = write_film(tmp_path / "vfr.mkv", stamps, [picture(COLOURS[0])] * len(stamps))
    assert frame_times_ms(film) == stamps


def test_the_timeline_of_a_film_with_a_late_first_frame_starts_at_zero(tmp_path: Path) -> None:
    stamps = [5000, 5040, 5080]
    film = write_film(tmp_path / "late.mkv", stamps, [picture(COLOURS[0])] * 3)
    assert inspect(film).origin == 5
    assert frame_times_ms(film) == [0, 40, 80]


def test_cover_art_is_not_a_video_stream(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("libmp3lame", rate=44100)
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 96, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame(96, 64, "yuvj420p")))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    facts = inspect(path)
    assert facts.video is None
    assert len(facts.audio) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.txt", b"hello\n"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:10,\n/etc/hostname\n"),
        ("script.ffconcat", b"ffconcat version 1.0\nfile /etc/hostname\n"),
        ("words.srt", SRT.encode()),
        ("junk.mp4", bytes(range(256)) * 64),
    ],
)
def test_files_without_media_and_playlists_are_refused(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Invalid, match="cannot be opened as media"):
        inspect(path)


def test_a_recording_that_begins_in_the_middle_of_a_group_is_accepted(tmp_path: Path) -> None:
    whole = film_of_shots(tmp_path / "whole.ts", [60])
    data = whole.read_bytes()
    middle = tmp_path / "middle.ts"
    middle.write_bytes(data[len(data) // 3 // 188 * 188 :])
    assert inspect(middle).video is not None
    assert frame_times_ms(middle)


def test_damaged_packets_are_skipped_and_the_rest_is_decoded(tmp_path: Path) -> None:
    whole = film_of_shots(tmp_path / "whole.mkv", [50])
    data = bytearray(whole.read_bytes())
    for offset in range(len(data) // 2, len(data) * 3 // 4):
        data[offset] ^= 0x5A
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(data)
    times = frame_times_ms(broken)
    assert times
    assert times == sorted(set(times))
    assert set(times) <= set(frame_times_ms(whole))


def align(blocks: list[tuple[int, int | None]]) -> list[int]:
    """Align blocks of (length, start in ms) to a timeline of 1000 samples per second; the samples
    of block n have the value n."""
    timeline = _AudioTimeline(rate=1000, limit_s=Fraction(60))
    samples: list[int] = []
    for number, (length, start_ms) in enumerate(blocks, 1):
        start = None if start_ms is None else Fraction(start_ms, 1000)
        for block in timeline.place(np.full(length, number, dtype=np.int16), start):
            samples += block.tolist()
    return samples


def test_audio_is_aligned_to_its_timestamps() -> None:
    assert align([(100, 0), (100, 100)]) == [1] * 100 + [2] * 100
    assert align([(100, 200)]) == [0] * 200 + [1] * 100
    assert align([(100, 0), (100, 300)]) == [1] * 100 + [0] * 200 + [2] * 100
    assert align([(200, 0), (200, 100)]) == [1] * 200 + [2] * 100
    assert align([(100, 0), (100, 110)]) == [1] * 100 + [2] * 100


def test_audio_whose_timestamps_restart_continues_without_a_gap() -> None:
    assert align([(3000, 0), (100, 0), (100, 100)]) == [1] * 3000 + [2] * 100 + [3] * 100


def test_audio_with_a_timestamp_far_beyond_the_end_is_refused() -> None:
    with pytest.raises(Invalid, match="far beyond the end"):
        align([(100, 0), (100, 10_000_000)])


def test_recordings_joined_end_to_end_have_one_timeline(tmp_path: Path) -> None:
    film = write_film(tmp_path / "a.ts", range(0, 2000, 40), [picture(COLOURS[0])] * 50)
    joined = tmp_path / "ab.ts"
    joined.write_bytes(film.read_bytes() * 2)
    reader = VideoReader(joined)
    times = [milliseconds(frame.time) for frame in reader]
    assert len(times) == 100
    assert times == sorted(set(times))
    assert reader.restarts == 1


def test_an_invalid_timestamp_only_drops_its_own_frame(tmp_path: Path) -> None:
    stamps = [0, 40, 80, 120, 160]
    film = write_film(tmp_path / "film.mkv", stamps, [picture(COLOURS[0])] * 5)
    timeline = _VideoTimeline(Fraction(1, 1000), inspect(film))
    assert [timeline.place(pts) for pts in (0, 40, 10**9, None, 120)] == [0, 40, None, None, 120]


def test_no_words_are_recognised_in_silence_and_hum(tmp_path: Path) -> None:
    silence = [np.zeros(16000, dtype=np.int16)] * 5
    assert list(utterances(silence)) == []
    hum = write_tone(tmp_path / "hum.wav", 3)
    assert list(PocketSphinx().recognise(SoundReader(hum, rate=16000))) == []


def test_side_car_subtitles_are_read_as_plain_text(tmp_path: Path) -> None:
    path = tmp_path / "film.en.srt"
    path.write_text(SRT)
    cues = subtitles.read_side_car(path)
    assert [(cue.start_ms, cue.end_ms, cue.text) for cue in cues] == [
        (100, 900, "Check the gate twice"),
        (1000, 1500, "Moving on"),
    ]
    assert subtitles.side_car_language(path) == "en"


def test_embedded_subtitles_are_read_like_side_car_subtitles(tmp_path: Path) -> None:
    side_car = tmp_path / "words.srt"
    side_car.write_text(SRT)
    film = film_of_shots(tmp_path / "film.mkv", [50], subtitles=side_car)
    (stream,) = inspect(film).subtitles
    embedded = [cue for cue in subtitles.read_embedded(film, stream.index) if cue.text]
    assert embedded == subtitles.read_side_car(side_car)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_subtitles_are_read_in_common_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "film.srt"
    path.write_bytes("1\n00:00:01,000 --> 00:00:02,000\nCafé déjà vu\n".encode(encoding))
    assert [cue.text for cue in subtitles.read_side_car(path)] == ["Café déjà vu"]


def test_a_binary_file_with_the_suffix_of_subtitles_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "film.srt"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(Invalid, match="cannot be read as subtitles"):
        subtitles.read_side_car(path)


def test_the_side_car_has_the_films_name_and_the_best_language(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    for name in ("film2.srt", "film.de.srt", "other.srt", "film.notes.srt"):
        (tmp_path / name).touch()
    assert subtitles.find_side_car(film) == tmp_path / "film.de.srt"
    (tmp_path / "film.en.srt").touch()
    assert subtitles.find_side_car(film) == tmp_path / "film.en.srt"
    (tmp_path / "film.vtt").touch()
    assert subtitles.find_side_car(film) == tmp_path / "film.vtt"


def test_content_change_equals_pyscenedetects_score(tmp_path: Path) -> None:
    """For colour film; in black and white only brightness counts here, on purpose."""
    film = film_of_shots(tmp_path / "film.mkv", [8, 8, 8])
    stats = StatsManager()
    detector = ContentDetector()
    detector.stats_manager = stats
    measured = measure_changes(
        (
            (frame.number, milliseconds(frame.time), pixels(frame, (96, 64)))
            for frame in VideoReader(film)
        ),
        min_content=17,
        flash_ms=150,
    )
    for frame in VideoReader(film):
        timecode = FrameTimecode(frame.number, 25.0)
        detector.process_frame(timecode, pixels(frame, (96, 64)))
        if frame.number:
            content, luma = stats.get_metrics(timecode, ["content_val", "delta_lum"])
            assert measured.content[frame.number] == pytest.approx(max(content, luma), abs=0.01)


def test_the_bridge_is_near_0_for_a_flash_and_near_1_for_a_cut() -> None:
    calm, other = picture(COLOURS[0]), picture(COLOURS[1], 3)
    flash = np.full_like(calm, 255)
    pictures = [calm] * 10 + [flash] * 2 + [calm] * 10 + [other] * 10
    frames = enumerate(cv2.cvtColor(image, cv2.COLOR_RGB2BGR) for image in pictures)
    measured = measure_changes(
        ((number, number * 40, image.astype(np.uint8)) for number, image in frames),
        min_content=17,
        flash_ms=150,
    )
    assert measured.bridge[10] < 0.1
    assert measured.bridge[12] < 0.1
    assert measured.bridge[22] > 0.9


def test_presentation_times_are_exact_fractions(tmp_path: Path) -> None:
    film = write_film(
        tmp_path / "ntsc.mov",
        [0, 1001, 2002],
        [picture(COLOURS[0])] * 3,
        time_base=Fraction(1, 30000),
    )
    assert [frame.time for frame in VideoReader(film)] == [
        0,
        Fraction(1001, 30000),
        Fraction(2002, 30000),
    ]


def test_only_one_field_of_an_interlaced_picture_is_used(tmp_path: Path) -> None:
    path = tmp_path / "interlaced.mkv"
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("mpeg2video", rate=25)
        video.width, video.height, video.pix_fmt, video.bit_rate = 128, 96, "yuv420p", 8_000_000
        flags = av.codec.context.Flags
        video.codec_context.flags |= flags.interlaced_dct | flags.interlaced_me
        combed = np.zeros((96, 128, 3), np.uint8)
        combed[::2, :64], combed[1::2, 64:] = 255, 255  # each field has another half in white
        for number in range(5):
            picture = av.VideoFrame.from_ndarray(combed, format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
    frame = next(iter(VideoReader(path)))
    assert frame.picture.interlaced_frame
    image = upright(frame, fitted_size(frame, longest=128))
    assert image[:, 8:56].mean() > 200
    assert image[:, 72:120].mean() < 55


def test_a_rotated_film_is_decoded_upright(test_data: Path) -> None:
    rotated = next(iter(VideoReader(test_data / "odd/rotated_meta90.mp4")))
    plain = next(iter(VideoReader(test_data / "faces/talk_dev_3people.mp4")))
    images = [upright(frame, fitted_size(frame, longest=320)) for frame in (rotated, plain)]
    assert images[0].shape == images[1].shape == (240, 320, 3)
    difference = np.abs(images[0].astype(int) - images[1].astype(int)).mean()
    assert difference < 5


def test_the_correlation_of_two_speakers_channels_is_near_0_and_of_mono_sound_near_1(
    test_data: Path, tmp_path: Path
) -> None:
    speakers = test_data / "speech/stereo_diarization.wav"
    assert abs(channel_correlation(speakers, rate=16_000)) < 0.05
    assert channel_correlation(write_tone(tmp_path / "hum.wav", 1), rate=16_000) > 0.99


def test_frames_decoded_from_damaged_data_are_counted(test_data: Path, tmp_path: Path) -> None:
    data = bytearray((test_data / "faces/talk_dev_3people.mp4").read_bytes())
    rng = random.Random(1)
    for _ in range(300):
        data[rng.randrange(100_000, len(data) - 100_000)] ^= 1 << rng.randrange(8)
    path = tmp_path / "flipped.mp4"
    path.write_bytes(bytes(data))
    reader = VideoReader(path)
    frames = sum(1 for _ in reader)
    assert 0 < reader.damaged_frames <= frames


def test_the_duration_of_a_matroska_film_with_a_late_start_excludes_the_time_before_it(
    tmp_path: Path,
) -> None:
    black = np.zeros((64, 96, 3), np.uint8)
    path = write_film(tmp_path / "late.mkv", [100_000 + n * 40 for n in range(25)], [black] * 25)
    facts = inspect(path)
    assert facts.origin == 100
    assert facts.duration is not None
    assert facts.duration < 2
