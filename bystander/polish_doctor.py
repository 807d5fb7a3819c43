"""What `doctor` says, in Polish (`polish.py`)."""

from __future__ import annotations

from typing import Final

DOCTOR: Final = {
    # what is seen
    "looking at {source}": "podgląd {source}",
    "reading": "odczyt",
    "{source}: {frames:,} {frames:frame|frames}, {megabytes:,.1f} MB in {seconds:,.1f} s ({rate:,.0f} "
    "frames/s)": (
        "{source}: {frames:,} {frames:ramka|ramki|ramek}, {megabytes:,.1f} MB w ciągu {seconds:,.1f} s "
        "({rate:,.0f} ramek/s)"
    ),
    "{messages:,} {messages:message|messages}": (
        "{messages:,} {messages:wiadomość|wiadomości|wiadomości}"
    ),
    "media": "media",
    "hosts": "hosty",
    "{answered} answered: {whole} with both sides, {one_way} with one, {silent} with none": (
        "odebrane: {answered}; słychać obie strony: {whole}, jedną: {one_way}, żadnej: {silent}"
    ),
    "{streams} RTP {streams:stream|streams}": "{streams} {streams:strumień|strumienie|strumieni} RTP",
    "{packets:,} RTCP {packets:packet|packets}": "{packets:,} {packets:pakiet|pakiety|pakietów} RTCP",
    "says nothing of itself": "nie podaje nazwy",
    "{listed} and {more} more": "{listed} i jeszcze {more}",
    "Lines for the configuration (look at each: what was seen in a while is not all there is):": (
        "Wiersze do konfiguracji (sprawdź każdy: to, co widać przez chwilę, to nie wszystko):"
    ),
    # the comparison with TShark
    "{calls} {calls:call|calls}, {streams} RTP {streams:stream|streams}": (
        "{calls} {calls:rozmowa|rozmowy|rozmów}, {streams} {streams:strumień|strumienie|strumieni} RTP"
    ),
    "No difference.": "Bez różnic.",
    "call": "rozmowa",
    "stream": "strumień",
    "none": "brak",
    # the mirror
    "{source} has no carrier: nothing is plugged in, or the switch's port is off.": (
        "{source}: brak sygnału na łączu: nic nie jest podłączone albo port przełącznika jest wyłączony."
    ),
    "Check the cable, and that the port of the switch is enabled.": (
        "Sprawdź kabel oraz czy port przełącznika jest włączony."
    ),
    "Not one frame arrived.": "Nie nadeszła ani jedna ramka.",
    "Configure a mirror (SPAN) session on the switch whose destination is the port of {source}.": (
        "Skonfiguruj na przełączniku sesję lustrzaną (SPAN), której portem docelowym jest port {source}."
    ),
    "The file holds no frames.": "Plik nie zawiera ramek.",
    "Nearly all frames are broadcast or multicast ({unicast} of {all} are not): this is an ordinary port "
    "of the switch, not the destination of a mirror.": (
        "Prawie wszystkie ramki są rozgłoszeniowe lub grupowe (inne: {unicast} z {all}): to zwykły port "
        "przełącznika, a nie port lustrzany."
    ),
    "Configure the mirror session, with both directions (on many switches: `both`, or rx and tx).": (
        "Skonfiguruj sesję lustrzaną w obu kierunkach (na wielu przełącznikach: `both` albo rx i tx)."
    ),
    "{source} did not become promiscuous: it passes only what is addressed to itself.": (
        "{source} nie przeszedł w tryb nasłuchu (promiscuous): przepuszcza tylko ramki adresowane do "
        "siebie."
    ),
    "In a virtual machine, let the virtual switch deliver foreign frames (promiscuous mode, or port "
    "mirroring).": (
        "W maszynie wirtualnej zezwól wirtualnemu przełącznikowi na dostarczanie cudzych ramek (tryb "
        "promiscuous lub kopiowanie portów)."
    ),
    "The kernel dropped none of {frames} frames.": (
        "Jądro nie odrzuciło żadnej z {frames} {frames:ramki|ramek|ramek}."
    ),
    "The kernel dropped {drops} of {frames} frames: there was no room in the ring.": (
        "Jądro odrzuciło {drops} z {frames} {frames:ramki|ramek|ramek}: w buforze pierścieniowym zabrakło "
        "miejsca."
    ),
    "Give it more ([capture] ring_mb), a faster core, or mirror less.": (
        "Zwiększ bufor ([capture] ring_mb), daj szybszy rdzeń albo kopiuj mniej portów."
    ),
    "{short} of {frames} frames are cut short: what was captured is less than what was sent.": (
        "{short} z {frames} {frames:ramki|ramek|ramek} {short:jest ucięta|są ucięte|jest uciętych}: "
        "przechwycono mniej, niż wysłano."
    ),
    "Take the snap length off (tcpdump -s 0), or the slicing of the tap or mirror session.": (
        "Wyłącz ograniczenie długości (tcpdump -s 0) albo obcinanie ramek w rozgałęźniku lub sesji "
        "lustrzanej."
    ),
    "The copies differ in their time to live: they were taken before and behind a router.": (
        "Kopie różnią się polem TTL: pobrano je przed routerem i za nim."
    ),
    "The copies differ in MAC addresses or VLAN tag: they were taken in different segments.": (
        "Kopie różnią się adresami MAC lub znacznikiem VLAN: pobrano je w różnych segmentach sieci."
    ),
    "The copies are alike: the ports at both ends of a conversation are mirrored.": (
        "Kopie są jednakowe: kopiowane są porty po obu stronach rozmowy."
    ),
    "{share:.0%} of the media arrives {usual} times: {usual} mirrored ports see it. {how}": (
        "{share:.0%} mediów dociera {usual} razy: z {usual} kopiowanych portów. {how}"
    ),
    "Nothing is recorded twice by it, but it takes that much of the mirror's capacity. One port of each "
    "conversation is enough, in both directions; or mirror all ports in one direction (rx).": (
        "Niczego nie nagrywa się przez to dwa razy, ale zajmuje to przepustowość portu lustrzanego. "
        "Wystarczy jeden port na rozmowę, w obu kierunkach; albo wszystkie porty w jednym kierunku (rx)."
    ),
    "{bad} of {checked} IPv4 headers have a wrong checksum: the tap or the cable damages frames.": (
        "Błędna suma kontrolna nagłówka IPv4: {bad} z {checked}. Rozgałęźnik lub kabel uszkadza ramki."
    ),
    "Look at the error counters of the switch's port and of the interface (ethtool -S).": (
        "Sprawdź liczniki błędów portu przełącznika i interfejsu (ethtool -S)."
    ),
    "{bad} of {checked} UDP checksums looked at are not filled in, from {senders}: these hosts leave that "
    "to their network card, and are captured before it.": (
        "Niewypełnione sumy kontrolne UDP: {bad} z {checked} sprawdzonych, od {senders}: te hosty "
        "zostawiają to karcie sieciowej, a ruch pobierany jest przed nią."
    ),
    "Nothing to do: no packet is refused for its checksum.": (
        "Nic nie trzeba robić: żaden pakiet nie jest odrzucany z powodu sumy kontrolnej."
    ),
    "{frames} {frames:frame|frames} longer than Ethernet's 1,518 bytes: jumbo frames, or packets put "
    "together by the network card or the kernel.": (
        "{frames} {frames:ramka dłuższa|ramki dłuższe|ramek dłuższych} niż 1518 bajtów Ethernetu: ramki "
        "jumbo albo pakiety sklejone przez kartę sieciową lub jądro."
    ),
    "{frames} {frames:frame|frames} longer than Ethernet's 1,518 bytes: jumbo frames, or packets put "
    "together by the network card or the kernel ({merging} is on).": (
        "{frames} {frames:ramka dłuższa|ramki dłuższe|ramek dłuższych} niż 1518 bajtów Ethernetu: ramki "
        "jumbo albo pakiety sklejone przez kartę sieciową lub jądro (włączone: {merging})."
    ),
    "{source} has an address ({addresses}): the machine may send on it.": (
        "{source} ma adres ({addresses}): maszyna może przez niego wysyłać."
    ),
    "Leave the capture interface without an address, and manage the machine by another one.": (
        "Interfejs przechwytujący pozostaw bez adresu, a maszyną zarządzaj przez inny."
    ),
    "VLAN tags seen: {tags} (outer/inner).": "Znaczniki VLAN: {tags} (zewnętrzny/wewnętrzny).",
    "untagged": "bez znacznika",
    "{networks} use the same addresses and ports, and not for the same: {flows} "
    "{flows:pair of hosts is|pairs of hosts are} in several of them at once.": (
        "{networks}: te same adresy i porty, a służą do czego innego; w kilku z tych sieci naraz "
        "{flows:jest|są|jest} {flows} {flows:para|pary|par} hostów."
    ),
    "Tell them apart ([capture] separate = [{kinds}]), or a call of one is mixed up with a call of "
    "another.": (
        "Rozróżniaj je ([capture] separate = [{kinds}]), inaczej rozmowa z jednej z sieci pomiesza się "
        "z rozmową z innej."
    ),
    "Tunnels opened, and frames in each: {tunnels}.": (
        "Otwarte tunele i liczba ramek w każdym: {tunnels}."
    ),
    "Time ran backwards {times} {times:time|times} from one frame to the next.": (
        "Czas cofnął się między kolejnymi ramkami {times} {times:raz|razy|razy}."
    ),
    "Frames of several sources were merged without sorting, or the clock was set: see that it is kept by "
    "NTP.": (
        "Ramki z kilku źródeł połączono bez sortowania albo przestawiono zegar: zadbaj, by ustawiał go NTP."
    ),
    # calls
    "There is traffic, but neither SIP nor RTP in it.": "Jest ruch, ale nie ma w nim ani SIP, ani RTP.",
    "Mirror the ports of the telephone exchange or of the session border controller, or the voice VLAN; "
    "and make a call while looking.": (
        "Kopiuj porty centrali telefonicznej lub brzegowego kontrolera sesji (SBC) albo VLAN głosowy; "
        "podczas podglądu zadzwoń."
    ),
    "{streams} RTP {streams:stream|streams}, and not one SIP message: calls cannot be told apart, named "
    "or dated.": (
        "{streams} {streams:strumień|strumienie|strumieni} RTP i ani jednej wiadomości SIP: rozmów nie da "
        "się rozróżnić, nazwać ani określić ich czasu."
    ),
    "Mirror the port of the SIP server, too. If the telephones use TLS, see [capture] in the manual for "
    "key logs.": (
        "Kopiuj także port serwera SIP. Jeśli telefony używają TLS, zobacz w podręczniku [capture] i plik "
        "kluczy (key log)."
    ),
    "{calls} {calls:call|calls} answered, and no RTP at all: the media goes another way.": (
        "{calls} {calls:rozmowa odebrana|rozmowy odebrane|rozmów odebranych} i w ogóle brak RTP: media "
        "płyną inną drogą."
    ),
    "Telephones speak with each other directly: mirror their ports or the voice VLAN, not the server's "
    "port alone.": (
        "Telefony rozmawiają ze sobą bezpośrednio: kopiuj ich porty lub VLAN głosowy, a nie sam port "
        "serwera."
    ),
    "{messages} SIP {messages:message|messages}, and no answers: only one direction is mirrored.": (
        "{messages} {messages:wiadomość|wiadomości|wiadomości} SIP i żadnych odpowiedzi: kopiowany jest "
        "tylko jeden kierunek."
    ),
    "{messages} SIP {messages:message|messages}, and no requests: only one direction is mirrored.": (
        "{messages} {messages:wiadomość|wiadomości|wiadomości} SIP i żadnych żądań: kopiowany jest tylko "
        "jeden kierunek."
    ),
    "Set the mirror session to both directions.": "Ustaw sesję lustrzaną na oba kierunki.",
    "{one_way} of {count} answered {count:call|calls} have only one side.": (
        "Tylko jedna strona: {one_way} z {count} {count:odebranej rozmowy|odebranych rozmów|odebranych "
        "rozmów}."
    ),
    "{one_way} of {count} answered {count:call|calls} have only one side: nothing that comes from {deaf} "
    "is seen.": (
        "Tylko jedna strona: {one_way} z {count} {count:odebranej rozmowy|odebranych rozmów|odebranych "
        "rozmów}: nie widać niczego od {deaf}."
    ),
    "{one_way} of {count} answered {count:call|calls} have only one side: nothing that goes to {mute} is "
    "seen.": (
        "Tylko jedna strona: {one_way} z {count} {count:odebranej rozmowy|odebranych rozmów|odebranych "
        "rozmów}: nie widać niczego do {mute}."
    ),
    "{one_way} of {count} answered {count:call|calls} have only one side: nothing that comes from {deaf} "
    "is seen; nothing that goes to {mute} is seen.": (
        "Tylko jedna strona: {one_way} z {count} {count:odebranej rozmowy|odebranych rozmów|odebranych "
        "rozmów}: nie widać niczego od {deaf} ani niczego do {mute}."
    ),
    "Mirror the ports of those telephones too, or both directions of the port they are behind.": (
        "Kopiuj także porty tych telefonów albo oba kierunki portu, za którym się znajdują."
    ),
    "{lost} of {sent} RTP packets are missing ({share:.2%}).": (
        "Brakujące pakiety RTP: {lost} z {sent} ({share:.2%})."
    ),
    "{lost} of {sent} RTP packets are missing ({share:.1%}), in {lossy} of {streams} streams and so "
    "nearly everywhere: the mirror loses them, not the network.": (
        "Brakujące pakiety RTP: {lost} z {sent} ({share:.1%}), strumienie ze stratami: {lossy} z "
        "{streams}, czyli prawie wszędzie: gubi je port lustrzany, a nie sieć."
    ),
    "{lost} of {sent} RTP packets are missing ({share:.1%}), in {lossy} of {streams} "
    "{streams:stream|streams}.": (
        "Brakujące pakiety RTP: {lost} z {sent} ({share:.1%}), strumienie ze stratami: {lossy} z {streams}."
    ),
    "A mirror of several busy ports does not fit into one of the same speed: mirror fewer ports, or one "
    "direction.": (
        "Ruch kilku obciążonych portów nie mieści się w jednym o tej samej szybkości: kopiuj mniej portów "
        "albo jeden kierunek."
    ),
    "Compare with what the telephones report (RTCP), and with the port counters of the switch.": (
        "Porównaj z raportami telefonów (RTCP) i z licznikami portów przełącznika."
    ),
    "{encrypted} of {streams} {streams:stream|streams} are encrypted (SRTP), in {calls} of {answered} "
    "answered {answered:call|calls}.": (
        "Strumienie szyfrowane (SRTP): {encrypted} z {streams}; odebrane rozmowy, których to dotyczy: "
        "{calls} z {answered}."
    ),
    "They can be recorded where their keys stand in SIP that can be read (SDES); by DTLS-SRTP or ZRTP "
    "nobody but the two ends can. Switch those off in the exchange, or record on the other side of it.": (
        "Można je nagrać, jeśli ich klucze są w czytelnym SIP (SDES); przy DTLS-SRTP lub ZRTP odczytają je "
        "tylko obie strony. Wyłącz te protokoły w centrali albo nagrywaj po jej drugiej stronie."
    ),
    "Codecs that are not decoded: {codecs} ({streams} {streams:stream|streams}).": (
        "Nieobsługiwane kodeki: {codecs} ({streams} {streams:strumień|strumienie|strumieni})."
    ),
    "Calls in them get the verdict `unsupported-codec`; take the codec off the telephones' lists.": (
        "Takie rozmowy dostają wynik „nieobsługiwany kodek”; usuń ten kodek z ustawień telefonów."
    ),
    "{unclaimed} of {streams} RTP {streams:stream|streams} belong to no call that was seen.": (
        "Strumienie RTP nienależące do żadnej widzianej rozmowy: {unclaimed} z {streams}."
    ),
    "Of calls that were going on before that is usual in a short look; else the SIP of some telephones is "
    "not mirrored: mirror the port of the SIP server.": (
        "Przy krótkim podglądzie to zwykłe dla rozmów zaczętych wcześniej; w przeciwnym razie SIP "
        "niektórych telefonów nie jest kopiowany: kopiuj port serwera SIP."
    ),
    "{messages} SIP {messages:message|messages}, but no answered call in this time.": (
        "{messages} {messages:wiadomość|wiadomości|wiadomości} SIP, ale w tym czasie żadnej odebranej "
        "rozmowy."
    ),
    "Make a call while looking, or look longer (--seconds).": (
        "Podczas podglądu zadzwoń albo patrz dłużej (--seconds)."
    ),
    "{calls} answered {calls:call|calls}, both sides of each seen.": (
        "{calls} {calls:odebrana rozmowa|odebrane rozmowy|odebranych rozmów}; widać obie strony każdej "
        "rozmowy."
    ),
}  # fmt: skip
