"""What a client remembers of its writes, and sends with its reads."""

from aerodash_sdk.core.revisions import LastWrite


def test_nothing_is_sent_before_the_first_write():
    last = LastWrite()
    assert last.to_send("/cache/get") == ""
    last.note("/cache/set", None)
    last.note("/cache/get", "aa.9")
    assert last.to_send("/cache/get") == ""


def test_reads_carry_the_newest_write_whatever_the_order_of_replies():
    last = LastWrite()
    for revision in ("aa.9", "aa.10", "aa.2"):
        last.note("/cache/set", revision)
    assert last.to_send("/cache/get") == last.to_send("/cache/getMany") == "aa.10"
    assert last.to_send("/cache/set") == last.to_send("/queue/enqueue") == ""


def test_a_read_of_an_old_entry_does_not_make_the_client_forget():
    last = LastWrite()
    last.note("/cache/increment", "aa.10")
    last.note("/cache/get", "aa.3")
    assert last.to_send("/cache/get") == "aa.10"


def test_a_new_epoch_begins_anew():
    last = LastWrite()
    last.note("/cache/set", "aa.10")
    last.note("/cache/delete", "bb.2")
    assert last.to_send("/cache/get") == "bb.2"
