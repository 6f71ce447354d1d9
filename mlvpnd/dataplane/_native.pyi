"""Written by tools/make_native_stub.py from the headers in `mlvpnd/native`."""

from collections.abc import Callable, Iterator
from typing import Any, Generic, Literal, Self, TypeVar, overload

_T = TypeVar("_T")

class CData:
    """Data of C; false: NULL."""
    def __bool__(self) -> bool: ...
    def __sub__(self, items: int, /) -> Self: ...

class Struct(CData):
    """A struct, or a pointer to one or several."""
    def __getitem__(self, at: int, /) -> Self: ...

class Array(CData, Generic[_T]):
    def __len__(self) -> int: ...
    def __getitem__(self, at: int, /) -> _T: ...
    def __setitem__(self, at: int, value: _T, /) -> None: ...
    def __iter__(self) -> Iterator[_T]: ...

class Address(Struct):
    called: Called
    size: int
    any: Sockaddr
    v4: SockaddrIn
    v6: SockaddrIn6

class AnswerPace(Struct):
    answered_at: float
    heard_at: float
    unanswered: int

class Burst(Struct):
    next: Burst
    address: Address
    datagrams: PacketList

class Called(Struct):
    address: In6Addr
    scope: int

class ClearWindow(Struct):
    base: int
    size: int
    seen: Array[int]

class CoalesceFrame(Struct):
    packets: PacketList
    start: int
    transport: int
    payload: int
    segment_size: int
    length: int
    seq: int
    ident: int
    protocol: int
    is_ipv4: bool
    is_last: bool
    may_keep_ident: bool
    step: int
    key_size: int
    key: Array[int]

class Coalescer(Struct):
    uso: bool
    layer2: bool
    merged_frames: int
    merged_packets: int
    vnet: Array[int]
    frame_count: int
    given: int
    run_count: int
    runs: Array[CoalesceFrame]
    frames: Array[CoalesceFrame]

class CopyFilter(Struct):
    window: ReplayWindow
    begun: bool

class Disorder(Struct):
    newest: int
    late: RecentMax
    first_gap: int
    gaps: int
    ring: Array[DisorderGap]

class DisorderGap(Struct):
    first: int
    since: float

class Engine(Struct):
    layer2: bool
    is_server: bool
    cleartext_data: bool
    is_paced: bool
    notes: bool
    asks: bool
    outer: int
    key: Array[int]
    table: PathTable
    receiver: Receiver
    paced: Paced
    weighted: Weighted
    retransmissions: Retransmissions
    flows: FlowIndex
    filter: CData
    programs: Array[CData]
    program_count: int
    fragments: Fragments
    drops: Array[int]
    plain: Array[int]

class Flow(Struct):
    packets: PacketList
    bytes: int
    deficit: int

class FlowIndex(Struct):
    places: KnownFlow
    room: int
    used: int

class FlowQueue(Struct):
    limit: int
    bytes: int
    flows: int
    all: Array[Flow]

class Fragment(Struct):
    name: Array[int]
    name_size: int
    decision: int
    at: float

class Fragments(Struct):
    places: Array[Fragment]

class In6Addr(Struct): ...
class InAddr(Struct): ...

class Iovec(Struct):
    iov_base: CData
    iov_len: int

class KnownFlow(Struct):
    flow_id: int
    kind: int
    flow: PeerFlow

class Line(Struct):
    number: int
    priority: int
    spare: bool
    higher: bool
    rate: int
    delay: int
    least_delay: int
    hold: int
    sent: int
    ready_at: int
    express: PacketList
    express_bytes: int
    committed: PacketList
    committed_bytes: int
    kept_until: int
    turn: int
    own: FlowQueue

class Loop(Struct):
    engine: Engine
    tun: TunPort
    ports: LoopPort
    port_count: int
    turn: int
    housekeeping_at: float
    is_news: bool
    data_at: float
    tun_error: int
    from_tun: PacketList
    slow_link: int
    arena: Array[int]
    views: Packet

class LoopPort(Struct):
    udp: UdpPort
    reading: UdpReading
    next_number: int
    stops: int
    refused: int
    rests_until: float
    number: int

class LossBucket(Struct):
    begun_at: float
    before: int
    received: int

class LossMeter(Struct):
    paused_until: float
    newest: int
    nowhere: bool
    first: int
    count: int
    ring: Array[LossBucket]

class MssLimits(Struct):
    ipv4: int
    ipv6: int

class Paced(Struct):
    next_data_seq: int
    dropped: int
    line_count: int
    group_count: int
    lines: Array[Line]
    ranked: Array[Line]
    groups: PacedGroup
    commits_later: bool
    commit_at: int
    rate: int
    reachable: int
    has_near: bool
    near_rate: int
    express_line: int
    fair: Array[int]
    bulk_at: Array[int]
    stretch: Stretch
    queue: FlowQueue

class PacedGroup(Struct):
    count: int
    higher: int
    rate: int
    nearest: int
    horizon: int
    before_spare: bool

class PacedLine(Struct):
    number: int
    priority: int
    rate: int
    delay: int
    least_delay: int
    spare: bool

class Packet(Struct):
    next: Packet
    data: Array[int]
    size: int
    line_size: int
    data_seq: int
    after: int
    arrived: float
    link: int
    reorder: bool
    buffer: Array[int]
    capacity: int
    flow: int

class PacketList(Struct):
    first: Packet
    last: Packet
    count: int

class PathState(Struct):
    number: int
    status: int
    distrusted: bool
    enabled: bool
    fallback_only: bool
    on_trial: bool
    ready: bool
    unanswered_auths: int
    measures_loss: bool
    name: int
    flow_id: int
    next_seq: int
    peer: Address
    flow: PeerFlow
    rtt: RttEstimator
    echo: StampEcho
    transit: Transit
    disorder: Disorder
    loss: LossMeter
    answers: AnswerPace
    epoch: int
    heard_at: float
    heard_gap: float
    sent_at: float
    numbered_at: float
    up_at: float
    judge_at: float
    last_auth_at: float
    last_disconnect_at: float
    packets_sent: int
    bytes_sent: int
    packets_received: int
    bytes_received: int
    drops: Array[int]
    bursts: Burst
    last_burst: Burst

class PathTable(Struct):
    paths: Array[PathState]
    count: int

class PeerFlow(Struct):
    flow_id: int
    link: int
    ousted: bool
    insistent: bool
    has_clear: bool
    window: ReplayWindow
    clear: ClearWindow

class Piece(Struct):
    name: Array[int]
    name_size: int
    first: bool
    kind: int
    start: int
    rest: int

class Receiver(Struct):
    table: PathTable
    reorder: ReorderBuffer
    takes_first: bool
    copies: CopyFilter
    numbered_at: float
    numbered_since: float
    update_at: float
    epoch: int
    epoch_began: float
    freed: PacketList

class RecentMax(Struct):
    span: float
    floor: float
    newest: float
    before: float
    turn_at: float

class Remembered(Struct):
    name: Array[int]
    size: int
    link: int

class RememberedTable(Struct):
    count: int
    slots: Array[int]
    all: Array[Remembered]

class ReorderBuffer(Struct):
    next: int
    counting: bool
    has_passed: bool
    strays: int
    held: int
    size: int
    wait: float
    opened: float
    passed: float
    began: float
    late: int
    timeouts: int
    duplicates: int
    entries: ReorderEntry
    free: int
    table: Array[int]
    mask: int
    links: ReorderLink
    link_count: int
    sources: ReorderSource
    source_count: int
    source_room: int
    early: Array[int]
    fates: Array[int]

class ReorderEntry(Struct):
    packet: Packet
    chain: int
    older: int
    newer: int
    link_older: int
    link_newer: int

class ReorderLink(Struct):
    link: int
    disorder: float

class ReorderSource(Struct):
    link: int
    is_used: bool
    oldest: int
    newest: int
    highest: int

class ReplayWindow(Struct):
    newest: int
    bits: Array[int]

class Retransmissions(Struct):
    key: Array[int]
    judged_at: float
    links: RetransmissionsLink
    count: int
    room: int
    latest: int
    tables: Array[RememberedTable]

class RetransmissionsLink(Struct):
    number: int
    given: int
    given_lost: int
    losses: int
    has_account: bool
    harmful: bool
    endured: bool
    sent: float
    lost: float
    use: float
    full_for: float
    borne: int

class RetransmissionsRate(Struct):
    number: int
    rate: int

class RttEstimator(Struct):
    srtt_ms: float
    rttvar_ms: float
    min_rtt_ms: float
    before_ms: float
    has_sample: bool
    echoed_at: float
    unechoed: int

class Sockaddr(Struct):
    sa_family: int

class SockaddrIn(Struct):
    sin_family: int
    sin_port: int
    sin_addr: InAddr

class SockaddrIn6(Struct):
    sin6_family: int
    sin6_port: int
    sin6_flowinfo: int
    sin6_scope_id: int
    sin6_addr: In6Addr

class StampEcho(Struct):
    at: float
    stamp: int

class Stretch(Struct):
    since: int
    newest: int
    count: int
    flows: Array[StretchFlow]

class StretchFlow(Struct):
    begun: int
    seen: int
    bytes: int
    carried: int
    check_at: int
    before: int
    least: int
    stretched: bool

class Transit(Struct):
    last: float
    jump: float
    low: RecentMax
    high: RecentMax
    noted: float
    has_sample: bool

class TunPort(Struct):
    fd: int
    is_read: bool
    has_vnet: bool
    layer2: bool
    joins: bool
    mtu: int
    mss: MssLimits
    packets_read: int
    packets_written: int
    bytes_read: int
    bytes_written: int
    down: int
    full: int
    refused: int
    malformed: int
    oversize: int
    tso_reads: int
    tso_segments: int
    coalesced_writes: int
    coalesced_segments: int
    coalescer: Coalescer
    buffer: Array[int]

class UdpMessage(Struct):
    data: Array[int]
    size: int
    segment: int
    source: Address

class UdpPort(Struct):
    fd: int
    gso: bool
    gro: bool
    single_from: int
    single_until: float
    answers: bool
    lost: Called
    blocked: bool
    last_error: int
    refused_since: float
    refused_for: float
    overflows: int
    send_errors: int
    gso_sends: int
    gso_segments: int
    gro_receives: int
    gro_segments: int

class UdpReading(Struct):
    count: int
    at: int
    drained: bool
    offset: int
    messages: Array[UdpMessage]

class Weighted(Struct):
    links: WeightedLink
    count: int
    burst_begins: bool

class WeightedLink(Struct):
    number: int
    weight: int
    cost: int
    in_burst: bool

class WireHeader(Struct):
    length: int
    type: int
    reorder: bool
    timestamp: int
    timestamp_reply: int
    flow_id: int
    seq: int
    data_seq: int

class lib:
    CHECKSUM_MODULUS: int
    COALESCE_FRAMES: int
    COALESCE_KEY: int
    COALESCE_PARTS: int
    COALESCE_RIGHT: int
    COALESCE_RUNS: int
    COALESCE_SEGMENTS: int
    COALESCE_UNKNOWN: int
    COALESCE_WRONG: int
    ENGINE_DATA: int
    ENGINE_DROPPED: int
    ENGINE_HEARD: int
    ENGINE_SLOW: int
    FLOW_AGE: int
    FLOW_GONE: int
    FLOW_NONE: int
    FLOW_ORDERS: int
    FLOW_OWN: int
    FLOW_PEER: int
    FLOW_TURN: int
    INNER_LONGEST_NAME: int
    LOOP_HOUSEKEEPING: int
    LOOP_SLOW_DATAGRAM: int
    LOOP_SLOW_PACKET: int
    LOOP_TUN_LOST: int
    LOOP_WOKEN: int
    LOSS_BUCKETS: int
    PACKET_HEADROOM: int
    PACKET_USUAL: int
    PATH_NO_EPOCH: int
    REPLAY_WORDS: int
    RETRANSMISSIONS_KEY: int
    RETRANSMISSIONS_SLOTS: int
    SEGMENT_LIMIT: int
    TUN_READ_SIZE: int
    UDP_ARENA: int
    UDP_MOST_MESSAGES: int
    UDP_MOST_RUN_IPV4: int
    UDP_MOST_RUN_IPV6: int
    UDP_MOST_SEGMENTS: int
    UDP_SLOT_SIZE: int
    UDP_SLOT_SIZE_GRO: int
    WIRE_NONCE_SIZE: int
    @staticmethod
    def address_equal(a0: Address | Array[Address], a1: Address | Array[Address], /) -> bool: ...
    @staticmethod
    def answers_begin(a0: AnswerPace | Array[AnswerPace], /) -> None: ...
    @staticmethod
    def answers_one(a0: AnswerPace | Array[AnswerPace], a1: float, a2: float, /) -> bool: ...
    @staticmethod
    def box_open(a0: Array[int] | bytes, a1: int, a2: Array[int] | bytes, a3: Array[int] | bytes, /) -> bool: ...
    @staticmethod
    def box_seal(a0: Array[int] | bytes, a1: int, a2: Array[int] | bytes, a3: Array[int] | bytes, /) -> None: ...
    @staticmethod
    def box_verify(a0: Array[int] | bytes, a1: int, a2: Array[int] | bytes, a3: Array[int] | bytes, /) -> bool: ...
    @staticmethod
    def called_equal(a0: Called | Array[Called], a1: Called | Array[Called], /) -> bool: ...
    @staticmethod
    def called_known(a0: Called | Array[Called], /) -> bool: ...
    @staticmethod
    def checksum_ipv4(a0: Array[int] | bytes, a1: int, /) -> int: ...
    @staticmethod
    def checksum_of(a0: int, /) -> int: ...
    @staticmethod
    def checksum_pseudo(a0: Array[int] | bytes, a1: int, a2: int, a3: int, /) -> int: ...
    @staticmethod
    def checksum_sum(a0: Array[int] | bytes, a1: int, /) -> int: ...
    @staticmethod
    def clear_accept(a0: ClearWindow | Array[ClearWindow], a1: int, /) -> bool: ...
    @staticmethod
    def clear_anchor(a0: ClearWindow | Array[ClearWindow], a1: int, /) -> None: ...
    @staticmethod
    def clear_begin(a0: ClearWindow | Array[ClearWindow], a1: int, a2: int, /) -> bool: ...
    @staticmethod
    def clear_count(a0: ClearWindow | Array[ClearWindow], a1: int, a2: int, /) -> int: ...
    @staticmethod
    def clear_end(a0: ClearWindow | Array[ClearWindow], /) -> None: ...
    @staticmethod
    def clear_restore(a0: ClearWindow | Array[ClearWindow], a1: int, a2: Array[int] | bytes, a3: int, /) -> bool: ...
    @staticmethod
    def clear_seen(a0: ClearWindow | Array[ClearWindow], a1: Array[int] | bytes, /) -> None: ...
    @staticmethod
    def coalescer_begin(a0: Coalescer | Array[Coalescer], a1: bool, a2: bool, /) -> None: ...
    @staticmethod
    def coalescer_clear(a0: Coalescer | Array[Coalescer], /) -> None: ...
    @staticmethod
    def coalescer_next(a0: Coalescer | Array[Coalescer], a1: Iovec | Array[Iovec], /) -> int: ...
    @staticmethod
    def coalescer_take(a0: Coalescer | Array[Coalescer], a1: PacketList | Array[PacketList], /) -> None: ...
    @staticmethod
    def copies_begin(a0: CopyFilter | Array[CopyFilter], /) -> None: ...
    @staticmethod
    def copies_is_first(a0: CopyFilter | Array[CopyFilter], a1: int, /) -> bool: ...
    @staticmethod
    def disorder_begin(a0: Disorder | Array[Disorder], a1: int, /) -> None: ...
    @staticmethod
    def disorder_received(a0: Disorder | Array[Disorder], a1: int, a2: float, /) -> bool: ...
    @staticmethod
    def disorder_seconds(a0: Disorder | Array[Disorder], a1: float, /) -> float: ...
    @staticmethod
    def echo_begin(a0: StampEcho | Array[StampEcho], /) -> None: ...
    @staticmethod
    def echo_received(a0: StampEcho | Array[StampEcho], a1: int, a2: float, /) -> None: ...
    @staticmethod
    def echo_take(a0: StampEcho | Array[StampEcho], a1: float, /) -> int: ...
    @staticmethod
    def engine_emit(
        a0: Engine | Array[Engine],
        a1: PathState | Array[PathState],
        a2: Address | Array[Address],
        a3: int,
        a4: Packet | Array[Packet],
        a5: float,
        /,
    ) -> None: ...
    @staticmethod
    def engine_free(a0: Engine | Array[Engine], /) -> None: ...
    @staticmethod
    def engine_is_directed(a0: Engine | Array[Engine], a1: Packet | Array[Packet], a2: float, /) -> bool: ...
    @staticmethod
    def engine_is_usual(a0: PathState | Array[PathState], a1: Packet | Array[Packet], /) -> bool: ...
    @staticmethod
    def engine_nanoseconds(a0: float, /) -> int: ...
    @staticmethod
    def engine_new(a0: bool, a1: Array[int] | bytes, /) -> Engine: ...
    @staticmethod
    def engine_path(a0: Engine | Array[Engine], a1: int, /) -> PathState: ...
    @staticmethod
    def engine_pump(a0: Engine | Array[Engine], a1: float, /) -> None: ...
    @staticmethod
    def engine_schedule(a0: Engine | Array[Engine], a1: Packet | Array[Packet], a2: float, /) -> None: ...
    @staticmethod
    def engine_set_programs(a0: Engine | Array[Engine], a1: CData, a2: Array[CData], a3: int, /) -> bool: ...
    @staticmethod
    def engine_take(
        a0: Engine | Array[Engine],
        a1: PathState | Array[PathState],
        a2: Packet | Array[Packet],
        a3: Address | Array[Address],
        a4: float,
        a5: PacketList | Array[PacketList],
        /,
    ) -> int: ...
    @staticmethod
    def flow_index_end(a0: FlowIndex | Array[FlowIndex], /) -> None: ...
    @staticmethod
    def flow_index_find(a0: FlowIndex | Array[FlowIndex], a1: int, /) -> KnownFlow: ...
    @staticmethod
    def flow_index_forget(a0: FlowIndex | Array[FlowIndex], a1: int, /) -> None: ...
    @staticmethod
    def flow_index_put(a0: FlowIndex | Array[FlowIndex], a1: int, a2: PeerFlow | Array[PeerFlow], /) -> bool: ...
    @staticmethod
    def flow_queue_begin(a0: FlowQueue | Array[FlowQueue], a1: int, /) -> None: ...
    @staticmethod
    def flow_queue_clear(a0: FlowQueue | Array[FlowQueue], /) -> int: ...
    @staticmethod
    def flow_queue_next_size(a0: FlowQueue | Array[FlowQueue], /) -> int: ...
    @staticmethod
    def flow_queue_pop(a0: FlowQueue | Array[FlowQueue], /) -> Packet: ...
    @staticmethod
    def flow_queue_push(a0: FlowQueue | Array[FlowQueue], a1: int, a2: Packet | Array[Packet], /) -> int: ...
    @staticmethod
    def flow_queue_put_back(a0: FlowQueue | Array[FlowQueue], a1: Packet | Array[Packet], /) -> None: ...
    @staticmethod
    def flow_queue_trim(a0: FlowQueue | Array[FlowQueue], /) -> int: ...
    @staticmethod
    def fragments_clear(a0: Fragments | Array[Fragments], /) -> None: ...
    @staticmethod
    def fragments_find(a0: Fragments | Array[Fragments], a1: Array[int] | bytes, a2: int, a3: float, /) -> int: ...
    @staticmethod
    def fragments_note(
        a0: Fragments | Array[Fragments], a1: Array[int] | bytes, a2: int, a3: int, a4: float, /
    ) -> None: ...
    @staticmethod
    def inner_classify(a0: Array[int] | bytes, a1: int, a2: bool, a3: Array[int], /) -> int: ...
    @staticmethod
    def inner_in_frame(a0: Array[int] | bytes, a1: int, /) -> int: ...
    @staticmethod
    def inner_packet_from(a0: Array[int] | bytes, a1: int, a2: bool, /) -> int: ...
    @staticmethod
    def inner_segment(a0: Array[int] | bytes, a1: int, a2: bool, a3: Array[int] | bytes, /) -> int: ...
    @staticmethod
    def line_advance(a0: Line | Array[Line], a1: int, /) -> None: ...
    @staticmethod
    def line_busy(a0: Line | Array[Line], /) -> bool: ...
    @staticmethod
    def line_bytes(a0: int, a1: int, /) -> int: ...
    @staticmethod
    def line_commit(a0: Line | Array[Line], a1: Packet | Array[Packet], /) -> None: ...
    @staticmethod
    def line_due(a0: Line | Array[Line], /) -> int: ...
    @staticmethod
    def line_express_at(a0: Line | Array[Line], /) -> int: ...
    @staticmethod
    def line_free(a0: Line | Array[Line], /) -> None: ...
    @staticmethod
    def line_free_at(a0: Line | Array[Line], /) -> int: ...
    @staticmethod
    def line_new(a0: int, a1: int, a2: int, a3: int, /) -> Line: ...
    @staticmethod
    def line_push_first(a0: Line | Array[Line], a1: Packet | Array[Packet], /) -> None: ...
    @staticmethod
    def line_take(a0: Line | Array[Line], a1: int, /) -> Packet: ...
    @staticmethod
    def line_time(a0: int, a1: int, /) -> int: ...
    @staticmethod
    def loop_attach(a0: Loop | Array[Loop], a1: int, a2: UdpPort, /) -> LoopPort: ...
    @staticmethod
    def loop_begin(a0: Loop | Array[Loop], a1: Engine | Array[Engine], a2: bool, /) -> bool: ...
    @staticmethod
    def loop_detach(a0: Loop | Array[Loop], a1: int, a2: float, /) -> None: ...
    @staticmethod
    def loop_end(a0: Loop | Array[Loop], /) -> None: ...
    @staticmethod
    def loop_flush(a0: Loop | Array[Loop], a1: float, /) -> None: ...
    @staticmethod
    def loop_next_slow(
        a0: Loop | Array[Loop], a1: bool, a2: bool, a3: Packet | Array[Packet], a4: Array[Address], /
    ) -> bool: ...
    @staticmethod
    def loop_now() -> float: ...
    @staticmethod
    def loop_port(a0: Loop | Array[Loop], a1: int, /) -> LoopPort: ...
    @staticmethod
    def loop_run(a0: Loop | Array[Loop], a1: int, a2: float, /) -> int: ...
    @staticmethod
    def loop_slow_link(a0: Loop | Array[Loop], a1: bool, /) -> int: ...
    @staticmethod
    def loss_begin(a0: LossMeter | Array[LossMeter], a1: int, /) -> None: ...
    @staticmethod
    def loss_is_behind(a0: LossMeter | Array[LossMeter], a1: int, /) -> bool: ...
    @staticmethod
    def loss_lost(a0: LossMeter | Array[LossMeter], /) -> int: ...
    @staticmethod
    def loss_next(a0: LossMeter | Array[LossMeter], /) -> int: ...
    @staticmethod
    def loss_pause(a0: LossMeter | Array[LossMeter], a1: float, /) -> None: ...
    @staticmethod
    def loss_percent(a0: LossMeter | Array[LossMeter], /) -> int: ...
    @staticmethod
    def loss_received(a0: LossMeter | Array[LossMeter], a1: int, a2: float, a3: int, /) -> None: ...
    @staticmethod
    def loss_sent(a0: LossMeter | Array[LossMeter], /) -> int: ...
    @staticmethod
    def mss_clamp(a0: Array[int] | bytes, a1: int, a2: bool, a3: MssLimits | Array[MssLimits], /) -> None: ...
    @staticmethod
    def paced_begin(a0: Paced | Array[Paced], /) -> None: ...
    @staticmethod
    def paced_drain(a0: Paced | Array[Paced], a1: int, a2: PacketList | Array[PacketList], /) -> None: ...
    @staticmethod
    def paced_due(a0: Paced | Array[Paced], a1: Array[int], /) -> bool: ...
    @staticmethod
    def paced_earliest(a0: Paced | Array[Paced], a1: Array[int], a2: int, a3: int, /) -> int: ...
    @staticmethod
    def paced_end(a0: Paced | Array[Paced], /) -> None: ...
    @staticmethod
    def paced_is_settling(a0: Paced | Array[Paced], a1: int, /) -> bool: ...
    @staticmethod
    def paced_put(a0: Paced | Array[Paced], a1: int, a2: int, a3: Packet | Array[Packet], a4: int, /) -> None: ...
    @staticmethod
    def paced_put_on(
        a0: Paced | Array[Paced], a1: int, a2: Packet | Array[Packet], a3: int, a4: int, a5: bool, /
    ) -> bool: ...
    @staticmethod
    def paced_set_lines(a0: Paced | Array[Paced], a1: PacedLine | Array[PacedLine], a2: int, a3: int, /) -> bool: ...
    @staticmethod
    def paced_take(a0: Paced | Array[Paced], a1: int, a2: PacketList | Array[PacketList], /) -> None: ...
    @staticmethod
    def paced_waiting_bytes(a0: Paced | Array[Paced], /) -> int: ...
    @staticmethod
    def packet_copy(a0: Array[int] | bytes, a1: int, /) -> Packet: ...
    @staticmethod
    def packet_free(a0: Packet | Array[Packet], /) -> None: ...
    @staticmethod
    def packet_keep(a0: Packet | Array[Packet], /) -> Packet: ...
    @staticmethod
    def packet_list_free(a0: PacketList | Array[PacketList], /) -> None: ...
    @staticmethod
    def packet_list_join(a0: PacketList | Array[PacketList], a1: PacketList | Array[PacketList], /) -> None: ...
    @staticmethod
    def packet_list_pop(a0: PacketList | Array[PacketList], /) -> Packet: ...
    @staticmethod
    def packet_list_push(a0: PacketList | Array[PacketList], a1: Packet | Array[Packet], /) -> None: ...
    @staticmethod
    def packet_list_push_front(a0: PacketList | Array[PacketList], a1: Packet | Array[Packet], /) -> None: ...
    @staticmethod
    def packet_list_sort(a0: PacketList | Array[PacketList], /) -> None: ...
    @staticmethod
    def packet_new(a0: int, /) -> Packet: ...
    @staticmethod
    def packet_trim() -> None: ...
    @staticmethod
    def path_burst_free(a0: Burst | Array[Burst], /) -> None: ...
    @staticmethod
    def path_clear(a0: PathState | Array[PathState], /) -> None: ...
    @staticmethod
    def path_has_flow(a0: PathState | Array[PathState], /) -> bool: ...
    @staticmethod
    def path_hear(a0: PathState | Array[PathState], a1: float, /) -> None: ...
    @staticmethod
    def path_is_settled(a0: PathState | Array[PathState], /) -> bool: ...
    @staticmethod
    def path_measure_anew(a0: PathState | Array[PathState], a1: int, /) -> None: ...
    @staticmethod
    def path_measure_loss(a0: PathState | Array[PathState], a1: int, /) -> None: ...
    @staticmethod
    def path_queue(
        a0: PathState | Array[PathState], a1: Address | Array[Address], a2: Packet | Array[Packet], /
    ) -> bool: ...
    @staticmethod
    def path_table_add(a0: PathTable | Array[PathTable], a1: PathState | Array[PathState], /) -> bool: ...
    @staticmethod
    def path_table_end(a0: PathTable | Array[PathTable], /) -> None: ...
    @staticmethod
    def path_table_remove(a0: PathTable | Array[PathTable], a1: PathState | Array[PathState], /) -> None: ...
    @staticmethod
    def path_up(a0: PathState | Array[PathState], /) -> bool: ...
    @staticmethod
    def peer_flow_begin(a0: PeerFlow | Array[PeerFlow], a1: int, a2: int, a3: int, /) -> None: ...
    @staticmethod
    def peer_flow_end(a0: PeerFlow | Array[PeerFlow], /) -> None: ...
    @staticmethod
    def peer_flow_restore_clear(
        a0: PeerFlow | Array[PeerFlow], a1: int, a2: Array[int] | bytes, a3: int, /
    ) -> bool: ...
    @staticmethod
    def piece_of(a0: Array[int] | bytes, a1: int, a2: bool, a3: Piece | Array[Piece], /) -> bool: ...
    @staticmethod
    def piece_plain(a0: Piece | Array[Piece], a1: Array[int] | bytes, a2: int, a3: Array[int] | bytes, /) -> int: ...
    @staticmethod
    def receiver_begin(a0: Receiver | Array[Receiver], a1: PathTable | Array[PathTable], /) -> None: ...
    @staticmethod
    def receiver_begin_flow(a0: Receiver | Array[Receiver], a1: PathState | Array[PathState], a2: float, /) -> None: ...
    @staticmethod
    def receiver_end(a0: Receiver | Array[Receiver], /) -> None: ...
    @staticmethod
    def receiver_lose(a0: Receiver | Array[Receiver], a1: float, /) -> None: ...
    @staticmethod
    def receiver_measure(
        a0: Receiver | Array[Receiver],
        a1: PathState | Array[PathState],
        a2: WireHeader | Array[WireHeader],
        a3: PeerFlow | Array[PeerFlow],
        a4: bool,
        a5: bool,
        a6: float,
        /,
    ) -> None: ...
    @staticmethod
    def receiver_receive(
        a0: Receiver | Array[Receiver],
        a1: PathState | Array[PathState],
        a2: WireHeader | Array[WireHeader],
        a3: Packet | Array[Packet],
        a4: float,
        a5: PacketList | Array[PacketList],
        /,
    ) -> None: ...
    @staticmethod
    def receiver_refresh(a0: Receiver | Array[Receiver], a1: float, /) -> None: ...
    @staticmethod
    def receiver_resize(a0: Receiver | Array[Receiver], a1: int, a2: PacketList | Array[PacketList], /) -> bool: ...
    @staticmethod
    def receiver_stood_still(a0: Receiver | Array[Receiver], /) -> None: ...
    @staticmethod
    def receiver_take_first(a0: Receiver | Array[Receiver], a1: bool, /) -> None: ...
    @staticmethod
    def receiver_update(a0: Receiver | Array[Receiver], a1: float, /) -> None: ...
    @staticmethod
    def reorder_begin(a0: ReorderBuffer | Array[ReorderBuffer], a1: int, a2: float, /) -> bool: ...
    @staticmethod
    def reorder_deadline(a0: ReorderBuffer | Array[ReorderBuffer], /) -> float: ...
    @staticmethod
    def reorder_end(a0: ReorderBuffer | Array[ReorderBuffer], /) -> None: ...
    @staticmethod
    def reorder_expire(
        a0: ReorderBuffer | Array[ReorderBuffer], a1: float, a2: PacketList | Array[PacketList], /
    ) -> None: ...
    @staticmethod
    def reorder_flush(a0: ReorderBuffer | Array[ReorderBuffer], a1: PacketList | Array[PacketList], /) -> None: ...
    @staticmethod
    def reorder_is_anew(a0: ReorderBuffer | Array[ReorderBuffer], a1: int, a2: float, a3: float, /) -> int: ...
    @staticmethod
    def reorder_push(
        a0: ReorderBuffer | Array[ReorderBuffer],
        a1: Packet | Array[Packet],
        a2: float,
        a3: int,
        a4: PacketList | Array[PacketList],
        /,
    ) -> bool: ...
    @staticmethod
    def reorder_push_slowly(
        a0: ReorderBuffer | Array[ReorderBuffer],
        a1: Packet | Array[Packet],
        a2: float,
        a3: int,
        a4: PacketList | Array[PacketList],
        /,
    ) -> bool: ...
    @staticmethod
    def reorder_set_links(
        a0: ReorderBuffer | Array[ReorderBuffer], a1: ReorderLink | Array[ReorderLink], a2: int, /
    ) -> bool: ...
    @staticmethod
    def replay_accept(a0: ReplayWindow | Array[ReplayWindow], a1: int, /) -> bool: ...
    @staticmethod
    def replay_begin(a0: ReplayWindow | Array[ReplayWindow], a1: int, /) -> None: ...
    @staticmethod
    def replay_begin_unseen(a0: ReplayWindow | Array[ReplayWindow], a1: int, /) -> None: ...
    @staticmethod
    def replay_may_accept(a0: ReplayWindow | Array[ReplayWindow], a1: int, /) -> bool: ...
    @staticmethod
    def replay_restore(a0: ReplayWindow | Array[ReplayWindow], a1: int, a2: Array[int], /) -> None: ...
    @staticmethod
    def replay_seen(a0: ReplayWindow | Array[ReplayWindow], a1: Array[int], /) -> None: ...
    @staticmethod
    def retransmissions_begin(a0: Retransmissions | Array[Retransmissions], a1: Array[int] | bytes, /) -> None: ...
    @staticmethod
    def retransmissions_end(a0: Retransmissions | Array[Retransmissions], /) -> None: ...
    @staticmethod
    def retransmissions_judge(
        a0: Retransmissions | Array[Retransmissions],
        a1: RetransmissionsRate | Array[RetransmissionsRate],
        a2: int,
        a3: float,
        /,
    ) -> bool: ...
    @staticmethod
    def retransmissions_sent(
        a0: Retransmissions | Array[Retransmissions], a1: int, a2: Array[int] | bytes, a3: int, a4: int, /
    ) -> None: ...
    @staticmethod
    def retransmissions_share(a0: Retransmissions | Array[Retransmissions], a1: int, /) -> float: ...
    @staticmethod
    def rtt_begin(a0: RttEstimator | Array[RttEstimator], /) -> None: ...
    @staticmethod
    def rtt_received(a0: RttEstimator | Array[RttEstimator], a1: int, a2: float, /) -> None: ...
    @staticmethod
    def rtt_sample_ms(a0: int, a1: float, /) -> int: ...
    @staticmethod
    def rtt_stamp(a0: float, /) -> int: ...
    @staticmethod
    def rtt_update(a0: RttEstimator | Array[RttEstimator], a1: float, /) -> None: ...
    @staticmethod
    def segment_frame(
        a0: Array[int] | bytes, a1: Array[int] | bytes, a2: int, a3: bool, a4: PacketList | Array[PacketList], /
    ) -> int: ...
    @staticmethod
    def sodium_init() -> int: ...
    @staticmethod
    def stretch_admit(a0: Stretch | Array[Stretch], a1: int, a2: int, a3: int, a4: int, a5: int, /) -> bool: ...
    @staticmethod
    def stretch_begin(a0: Stretch | Array[Stretch], /) -> None: ...
    @staticmethod
    def stretch_delay(a0: Stretch | Array[Stretch], a1: int, /) -> int: ...
    @staticmethod
    def stretch_forget(a0: Stretch | Array[Stretch], a1: int, /) -> None: ...
    @staticmethod
    def stretch_is_settling(a0: Stretch | Array[Stretch], a1: int, /) -> bool: ...
    @staticmethod
    def transit_begin(a0: Transit | Array[Transit], /) -> None: ...
    @staticmethod
    def transit_forget_high(a0: Transit | Array[Transit], /) -> None: ...
    @staticmethod
    def transit_low_ms(a0: Transit | Array[Transit], /) -> float: ...
    @staticmethod
    def transit_note(a0: Transit | Array[Transit], /) -> None: ...
    @staticmethod
    def transit_received(a0: Transit | Array[Transit], a1: int, a2: float, /) -> bool: ...
    @staticmethod
    def transit_rise_ms(a0: Transit | Array[Transit], /) -> float: ...
    @staticmethod
    def transit_spread_ms(a0: Array[Transit], a1: int, /) -> float: ...
    @staticmethod
    def tun_read(a0: TunPort | Array[TunPort], a1: PacketList | Array[PacketList], /) -> int: ...
    @staticmethod
    def tun_write(a0: TunPort | Array[TunPort], a1: PacketList | Array[PacketList], /) -> None: ...
    @staticmethod
    def udp_flush(a0: UdpPort | Array[UdpPort], a1: PathState | Array[PathState], a2: float, /) -> None: ...
    @staticmethod
    def udp_limit(a0: UdpPort | Array[UdpPort], a1: PathState | Array[PathState], /) -> None: ...
    @staticmethod
    def udp_next(a0: UdpReading | Array[UdpReading], a1: Packet | Array[Packet], a2: Array[Address], /) -> bool: ...
    @staticmethod
    def udp_next_number(a0: UdpReading | Array[UdpReading], /) -> int: ...
    @staticmethod
    def udp_port(a0: int, a1: bool, a2: bool, a3: bool, /) -> UdpPort: ...
    @staticmethod
    def udp_read(
        a0: UdpPort | Array[UdpPort],
        a1: Array[Array[int]],
        a2: Array[int] | bytes,
        a3: UdpReading | Array[UdpReading],
        /,
    ) -> bool: ...
    @staticmethod
    def weighted_begin_burst(a0: Weighted | Array[Weighted], a1: int, /) -> None: ...
    @staticmethod
    def weighted_end(a0: Weighted | Array[Weighted], /) -> None: ...
    @staticmethod
    def weighted_pick(a0: Weighted | Array[Weighted], a1: int, /) -> int: ...
    @staticmethod
    def weighted_set_links(
        a0: Weighted | Array[Weighted], a1: WeightedLink | Array[WeightedLink], a2: int, /
    ) -> bool: ...
    @staticmethod
    def wire_claimed_number(a0: Array[int] | bytes, a1: int, /) -> int: ...
    @staticmethod
    def wire_get16(a0: Array[int] | bytes, /) -> int: ...
    @staticmethod
    def wire_get32(a0: Array[int] | bytes, /) -> int: ...
    @staticmethod
    def wire_get64(a0: Array[int] | bytes, /) -> int: ...
    @staticmethod
    def wire_nonce(a0: int, a1: int, a2: Array[int] | bytes, /) -> None: ...
    @staticmethod
    def wire_pack(a0: WireHeader | Array[WireHeader], a1: Array[int] | bytes, /) -> None: ...
    @staticmethod
    def wire_parse(a0: Array[int] | bytes, a1: int, a2: WireHeader | Array[WireHeader], /) -> int: ...
    @staticmethod
    def wire_put16(a0: Array[int] | bytes, a1: int, /) -> None: ...
    @staticmethod
    def wire_put32(a0: Array[int] | bytes, a1: int, /) -> None: ...
    @staticmethod
    def wire_put64(a0: Array[int] | bytes, a1: int, /) -> None: ...

class ffi:
    NULL: Any
    @overload
    @staticmethod
    def new(kind: Literal["struct address *"], value: object = ..., /) -> Address: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct answer_pace *"], value: object = ..., /) -> AnswerPace: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct burst *"], value: object = ..., /) -> Burst: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct called *"], value: object = ..., /) -> Called: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct clear_window *"], value: object = ..., /) -> ClearWindow: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct coalesce_frame *"], value: object = ..., /) -> CoalesceFrame: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct coalescer *"], value: object = ..., /) -> Coalescer: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct copy_filter *"], value: object = ..., /) -> CopyFilter: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct disorder *"], value: object = ..., /) -> Disorder: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct disorder_gap *"], value: object = ..., /) -> DisorderGap: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct engine *"], value: object = ..., /) -> Engine: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct flow *"], value: object = ..., /) -> Flow: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct flow_index *"], value: object = ..., /) -> FlowIndex: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct flow_queue *"], value: object = ..., /) -> FlowQueue: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct fragment *"], value: object = ..., /) -> Fragment: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct fragments *"], value: object = ..., /) -> Fragments: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct in6_addr *"], value: object = ..., /) -> In6Addr: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct in_addr *"], value: object = ..., /) -> InAddr: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct iovec *"], value: object = ..., /) -> Iovec: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct known_flow *"], value: object = ..., /) -> KnownFlow: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct line *"], value: object = ..., /) -> Line: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct loop *"], value: object = ..., /) -> Loop: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct loop_port *"], value: object = ..., /) -> LoopPort: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct loss_bucket *"], value: object = ..., /) -> LossBucket: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct loss_meter *"], value: object = ..., /) -> LossMeter: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct mss_limits *"], value: object = ..., /) -> MssLimits: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct paced *"], value: object = ..., /) -> Paced: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct paced_group *"], value: object = ..., /) -> PacedGroup: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct paced_line *"], value: object = ..., /) -> PacedLine: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct packet *"], value: object = ..., /) -> Packet: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct packet_list *"], value: object = ..., /) -> PacketList: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct path_state *"], value: object = ..., /) -> PathState: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct path_table *"], value: object = ..., /) -> PathTable: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct peer_flow *"], value: object = ..., /) -> PeerFlow: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct piece *"], value: object = ..., /) -> Piece: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct receiver *"], value: object = ..., /) -> Receiver: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct recent_max *"], value: object = ..., /) -> RecentMax: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct remembered *"], value: object = ..., /) -> Remembered: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct remembered_table *"], value: object = ..., /) -> RememberedTable: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct reorder_buffer *"], value: object = ..., /) -> ReorderBuffer: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct reorder_entry *"], value: object = ..., /) -> ReorderEntry: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct reorder_link *"], value: object = ..., /) -> ReorderLink: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct reorder_source *"], value: object = ..., /) -> ReorderSource: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct replay_window *"], value: object = ..., /) -> ReplayWindow: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct retransmissions *"], value: object = ..., /) -> Retransmissions: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct retransmissions_link *"], value: object = ..., /) -> RetransmissionsLink: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct retransmissions_rate *"], value: object = ..., /) -> RetransmissionsRate: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct rtt_estimator *"], value: object = ..., /) -> RttEstimator: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct sockaddr *"], value: object = ..., /) -> Sockaddr: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct sockaddr_in *"], value: object = ..., /) -> SockaddrIn: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct sockaddr_in6 *"], value: object = ..., /) -> SockaddrIn6: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct stamp_echo *"], value: object = ..., /) -> StampEcho: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct stretch *"], value: object = ..., /) -> Stretch: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct stretch_flow *"], value: object = ..., /) -> StretchFlow: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct transit *"], value: object = ..., /) -> Transit: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct tun_port *"], value: object = ..., /) -> TunPort: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct udp_message *"], value: object = ..., /) -> UdpMessage: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct udp_port *"], value: object = ..., /) -> UdpPort: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct udp_reading *"], value: object = ..., /) -> UdpReading: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct weighted *"], value: object = ..., /) -> Weighted: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct weighted_link *"], value: object = ..., /) -> WeightedLink: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct wire_header *"], value: object = ..., /) -> WireHeader: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct address[]"], value: object = ..., /) -> Array[Address]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct answer_pace[]"], value: object = ..., /) -> Array[AnswerPace]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct burst[]"], value: object = ..., /) -> Array[Burst]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct called[]"], value: object = ..., /) -> Array[Called]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct clear_window[]"], value: object = ..., /) -> Array[ClearWindow]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct coalesce_frame[]"], value: object = ..., /) -> Array[CoalesceFrame]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct coalescer[]"], value: object = ..., /) -> Array[Coalescer]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct copy_filter[]"], value: object = ..., /) -> Array[CopyFilter]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct disorder[]"], value: object = ..., /) -> Array[Disorder]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct disorder_gap[]"], value: object = ..., /) -> Array[DisorderGap]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct engine[]"], value: object = ..., /) -> Array[Engine]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct flow[]"], value: object = ..., /) -> Array[Flow]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct flow_index[]"], value: object = ..., /) -> Array[FlowIndex]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct flow_queue[]"], value: object = ..., /) -> Array[FlowQueue]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct fragment[]"], value: object = ..., /) -> Array[Fragment]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct fragments[]"], value: object = ..., /) -> Array[Fragments]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct in6_addr[]"], value: object = ..., /) -> Array[In6Addr]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct in_addr[]"], value: object = ..., /) -> Array[InAddr]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct iovec[]"], value: object = ..., /) -> Array[Iovec]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct known_flow[]"], value: object = ..., /) -> Array[KnownFlow]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct line[]"], value: object = ..., /) -> Array[Line]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct loop[]"], value: object = ..., /) -> Array[Loop]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct loop_port[]"], value: object = ..., /) -> Array[LoopPort]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct loss_bucket[]"], value: object = ..., /) -> Array[LossBucket]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct loss_meter[]"], value: object = ..., /) -> Array[LossMeter]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct mss_limits[]"], value: object = ..., /) -> Array[MssLimits]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct paced[]"], value: object = ..., /) -> Array[Paced]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct paced_group[]"], value: object = ..., /) -> Array[PacedGroup]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct paced_line[]"], value: object = ..., /) -> Array[PacedLine]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct packet[]"], value: object = ..., /) -> Array[Packet]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct packet_list[]"], value: object = ..., /) -> Array[PacketList]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct path_state[]"], value: object = ..., /) -> Array[PathState]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct path_table[]"], value: object = ..., /) -> Array[PathTable]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct peer_flow[]"], value: object = ..., /) -> Array[PeerFlow]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct piece[]"], value: object = ..., /) -> Array[Piece]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct receiver[]"], value: object = ..., /) -> Array[Receiver]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct recent_max[]"], value: object = ..., /) -> Array[RecentMax]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct remembered[]"], value: object = ..., /) -> Array[Remembered]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct remembered_table[]"], value: object = ..., /) -> Array[RememberedTable]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct reorder_buffer[]"], value: object = ..., /) -> Array[ReorderBuffer]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct reorder_entry[]"], value: object = ..., /) -> Array[ReorderEntry]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct reorder_link[]"], value: object = ..., /) -> Array[ReorderLink]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct reorder_source[]"], value: object = ..., /) -> Array[ReorderSource]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct replay_window[]"], value: object = ..., /) -> Array[ReplayWindow]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct retransmissions[]"], value: object = ..., /) -> Array[Retransmissions]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct retransmissions_link[]"], value: object = ..., /) -> Array[RetransmissionsLink]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct retransmissions_rate[]"], value: object = ..., /) -> Array[RetransmissionsRate]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct rtt_estimator[]"], value: object = ..., /) -> Array[RttEstimator]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct sockaddr[]"], value: object = ..., /) -> Array[Sockaddr]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct sockaddr_in[]"], value: object = ..., /) -> Array[SockaddrIn]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct sockaddr_in6[]"], value: object = ..., /) -> Array[SockaddrIn6]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct stamp_echo[]"], value: object = ..., /) -> Array[StampEcho]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct stretch[]"], value: object = ..., /) -> Array[Stretch]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct stretch_flow[]"], value: object = ..., /) -> Array[StretchFlow]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct transit[]"], value: object = ..., /) -> Array[Transit]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct tun_port[]"], value: object = ..., /) -> Array[TunPort]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct udp_message[]"], value: object = ..., /) -> Array[UdpMessage]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct udp_port[]"], value: object = ..., /) -> Array[UdpPort]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct udp_reading[]"], value: object = ..., /) -> Array[UdpReading]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct weighted[]"], value: object = ..., /) -> Array[Weighted]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct weighted_link[]"], value: object = ..., /) -> Array[WeightedLink]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct wire_header[]"], value: object = ..., /) -> Array[WireHeader]: ...
    @overload
    @staticmethod
    def new(kind: Literal["uint8_t[]"], value: object = ..., /) -> Array[int]: ...
    @overload
    @staticmethod
    def new(kind: Literal["uint32_t[]"], value: object = ..., /) -> Array[int]: ...
    @overload
    @staticmethod
    def new(kind: Literal["int32_t[]"], value: object = ..., /) -> Array[int]: ...
    @overload
    @staticmethod
    def new(kind: Literal["int64_t[]"], value: object = ..., /) -> Array[int]: ...
    @overload
    @staticmethod
    def new(kind: Literal["uint64_t[]"], value: object = ..., /) -> Array[int]: ...
    @overload
    @staticmethod
    def new(kind: Literal["void *[]"], value: object = ..., /) -> Array[CData]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct address *[]"], value: object = ..., /) -> Array[Address]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct transit *[]"], value: object = ..., /) -> Array[Transit]: ...
    @overload
    @staticmethod
    def new(kind: Literal["uint8_t *"], value: object = ..., /) -> Array[int]: ...
    @overload
    @staticmethod
    def new(kind: Literal["uint32_t *"], value: object = ..., /) -> Array[int]: ...
    @overload
    @staticmethod
    def new(kind: Literal["int32_t *"], value: object = ..., /) -> Array[int]: ...
    @overload
    @staticmethod
    def new(kind: Literal["int64_t *"], value: object = ..., /) -> Array[int]: ...
    @overload
    @staticmethod
    def new(kind: Literal["uint64_t *"], value: object = ..., /) -> Array[int]: ...
    @overload
    @staticmethod
    def new(kind: Literal["void * *"], value: object = ..., /) -> Array[CData]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct address * *"], value: object = ..., /) -> Array[Address]: ...
    @overload
    @staticmethod
    def new(kind: Literal["struct transit * *"], value: object = ..., /) -> Array[Transit]: ...
    @staticmethod
    def gc(data: _T, destructor: Callable[[_T], object], size: int = ..., /) -> _T: ...
    @staticmethod
    def addressof(data: CData, *fields: str | int) -> Any: ...
    @staticmethod
    def buffer(data: CData, size: int = ..., /) -> memoryview: ...
    @staticmethod
    def cast(kind: str, value: CData | int, /) -> CData: ...
    @staticmethod
    def sizeof(kind: str | CData, /) -> int: ...
