"""wstest, run by the suite's own Python 2.7, with two things changed from outside.

- The fuzzing server takes the listening socket it inherits as file descriptor TOWLINE_LISTEN_FD
  (wstest would listen on every interface, and on a port somebody has to guess).
- Ended by a signal, it still reports the cases that were run.
"""
import os
import socket

from autobahntestsuite import fuzzing, wstest
from twisted.internet import reactor
from twisted.protocols.tls import TLSMemoryBIOFactory

make_factory = fuzzing.FuzzingFactory.__init__


def make_reporting_factory(self, outdir):
    make_factory(self, outdir)
    reactor.addSystemEventTrigger('before', 'shutdown', self.createReports, produceHtml=False)


def adopt(factory, contextFactory=None):
    fd = int(os.environ['TOWLINE_LISTEN_FD'])
    if contextFactory:
        factory = TLSMemoryBIOFactory(contextFactory, False, factory)
    return reactor.adoptStreamPort(fd, socket.AF_INET, factory)


fuzzing.FuzzingFactory.__init__ = make_reporting_factory
fuzzing.listenWS = adopt
wstest.run()
