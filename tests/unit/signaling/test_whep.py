import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import InvalidInputError
from appliance.signaling import whep
from appliance.signaling.anbox import Candidate, Offer
from tests.support.player import CANDIDATE, FRAGMENT, OFFER

pytestmark = pytest.mark.unit


def test_an_offer_goes_up_as_it_is() -> None:
    offer = whep.read_offer(OFFER)
    assert (offer.sdp, offer.lacks) == (OFFER, "")
    assert whep.parse(offer.sdp) == Offer(OFFER)


@pytest.mark.parametrize("direction", ["a=sendrecv\r\n", ""])
def test_a_player_that_would_also_send_only_receives(direction: str) -> None:
    sdp = whep.read_offer(OFFER.replace("a=recvonly\r\n", direction)).sdp
    assert (sdp.count("a=recvonly\r\n"), sdp.count("a=sendrecv")) == (2, 0)


@pytest.mark.parametrize(
    ("sdp", "reason"),
    [
        ("", "does not begin with v=0"),
        ("hello", "does not begin with v=0"),
        ("v=0\r\ns=-\r\n", "neither video nor audio"),
        ("v=0\r\nm=\r\n", "neither video nor audio"),
        (OFFER.replace("a=recvonly", "a=sendonly", 1), "video is sendonly"),
        (OFFER.replace("a=recvonly", "a=inactive"), "video is inactive"),
        (OFFER.replace("a=ice-pwd", "a=other"), "a=ice-ufrag or a=ice-pwd is missing"),
    ],
)
def test_what_is_no_offer_is_named(sdp: str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        whep.read_offer(sdp)


@pytest.mark.parametrize(
    ("old", "new", "lacks"),
    [
        ("VP8", "VP9", ""),
        ("96 VP8", "96 AV1", ""),
        ("opus", "PCMU", "audio needs OPUS"),
    ],
)
def test_one_codec_in_common_is_enough(old: str, new: str, lacks: str) -> None:
    assert whep.read_offer(OFFER.replace(old, new)).lacks == lacks


def test_without_any_the_offer_says_what_it_lacks() -> None:
    offer = whep.read_offer(OFFER.replace("VP8", "VP9").replace("H264", "AV1"))
    assert offer.lacks == "video needs H264 or VP8"


def test_a_fragment_goes_up_one_candidate_at_a_time() -> None:
    fragment = whep.read_fragment(FRAGMENT)
    (candidate,) = fragment.candidates
    assert candidate == Candidate(CANDIDATE, "0", None)
    assert whep.parse(whep.candidate(candidate)) == candidate
    assert fragment.ice == whep.read_offer(OFFER).ice


def test_a_candidate_of_no_media_is_of_the_first() -> None:
    (candidate,) = whep.read_fragment(FRAGMENT.replace("a=mid:0\r\n", "")).candidates
    assert candidate == Candidate(CANDIDATE, None, 0)
    assert whep.parse(whep.candidate(candidate)) == candidate


def test_the_end_of_candidates_goes_up_as_an_empty_one() -> None:
    assert whep.parse("") == Candidate("", None, 0)


def test_another_password_is_another_ice_session() -> None:
    other = whep.read_fragment(FRAGMENT.replace("P2uY", "P2uZ"))
    assert other.ice != whep.read_offer(OFFER).ice


def test_a_fragment_without_credentials_or_with_too_many_candidates_is_none() -> None:
    with pytest.raises(InvalidInputError, match="missing"):
        whep.read_fragment(f"a={CANDIDATE}\r\n")
    with pytest.raises(InvalidInputError, match="more than 64"):
        whep.read_fragment(FRAGMENT + f"a={CANDIDATE}\r\n" * 64)


def test_a_reply_is_an_answer_or_a_reason() -> None:
    assert whep.read_reply(whep.answer(OFFER)) == OFFER
    with pytest.raises(InvalidInputError, match="no codec"):
        whep.read_reply(whep.error("no codec"))


_LINES = st.lists(st.sampled_from([*OFFER.splitlines(), *FRAGMENT.splitlines()]) | st.text(max_size=20))


@given(_LINES.map("\r\n".join) | _LINES.map("\n".join) | st.text())
def test_fuzz_no_body_does_more_than_be_refused(text: str) -> None:
    for read in (whep.read_offer, whep.read_fragment):
        with contextlib.suppress(InvalidInputError):
            read(text)
    whep.parse(text)
