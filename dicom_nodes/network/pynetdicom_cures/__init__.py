"""What pynetdicom 3.0.4 needs around it, and nothing else.

Every cure is a subclass that pynetdicom is given; nothing of pynetdicom is
patched, and a version that was not tried is refused. When a newer pynetdicom
brings a cure of its own, the class here goes. `configuration` holds the version.

=====================  =========================================================
What is wrong          What is done, and the module that does it
=====================  =========================================================
1 TLS handshake        `AssociationServer.get_request` shakes hands in the accept
                       loop: one silent peer stops all others. Here the handshake
                       runs in the association's thread, with a deadline
                       (`timed_connection`, `receiving_association`).
2 silent connections   A connection counts against `maximum_associations` before
                       it has negotiated: a dozen silent ones close the node for
                       30 s. Here only negotiated associations count, up to a
                       number for each peer, and the A-ASSOCIATE-RQ must be there
                       entirely within the ACSE timeout (`receiving_server`,
                       `timed_connection`; `network.admission`).
3 lost responses       `Association.send_*` and the reactor race for the answer:
                       12 of 42,519 C-STORE were lost, none of 50,000 with
                       `SafeCheckpoint` (`requesting_entity`).
4 refused JPEG         `AllStoragePresentationContexts` has uncompressed transfer
                       syntaxes only, and a server copies all its contexts for
                       every association (39 ms for 170 SOP classes).
                       Here the contexts are chosen from what is proposed
                       (`contexts`).
5 Nagle                `TCP_NODELAY` is never set: 40 ms for each small message.
                       Set on both ends (`receiving_server`,
                       `requesting_entity`).
6 data sets in memory  A data set is collected in memory, or with
                       `STORE_RECV_CHUNKED_DATASET` written PDU by PDU to the
                       system's temporary folder. Here C-STORE is taken out of
                       the way of pynetdicom's PDU and message objects and its
                       data set goes from one buffer to the file
                       (`conversing_association`; `network.pdu_reader`).
7 one process          Threads share one interpreter lock: `SO_REUSEPORT` lets
                       several processes listen on one port
                       (`receiving_server`).
8 two polling threads  Each association has two threads that look for work every
                       millisecond: a C-ECHO takes 2.7 ms, here 1.3 ms (median,
                       busy 2-core machine). Here an acceptor has one thread
                       that waits in the kernel (`stepped_upper_layer`,
                       `receiving_association`).
9 endless waiting      Reads have no timeout: half a PDU blocks a thread for
                       good, on both sides, and a claimed length is believed up
                       to 4 GB. Here reads have a timeout, lengths a bound, and
                       a peer that sends a byte a second is cut off
                       (`timed_connection`, `requesting_entity`; `network.pace`,
                       `network.pdu_reader`).
10 asking in between   An acceptor that sends a request from a handler waits for
                       a second thread to read the response. Here the one thread
                       reads it (`conversing_association`).
11 garbage collection  The accept loop collects all garbage at every 59th turn, a
                       tenth of a second each time: a thousand connections a
                       second stop the node. Here twice a minute
                       (`receiving_server`).
12 a thread for each   Each connection gets its association and its thread before
                       it has said anything: 1 ms each, so that who opens and
                       closes some thousands stops all others. Here the accept
                       loop watches them until their first byte is there, and
                       closes who has gone (`receiving_server`,
                       `unheard_connections`).
13 unread rejection    A requestor that wakes after the peer has rejected it finds
                       the connection closed, and says that it was aborted: on a
                       busy machine a permanent rejection then looks like one
                       that passes. Here the rejection is read (`requesting_entity`).
=====================  =========================================================
"""
