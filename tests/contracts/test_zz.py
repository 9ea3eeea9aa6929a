import contractkit as kit
from contractkit import refuses
import time
def test_x(escrow, terms, payer):
    t=time.time()
    m = kit.accepted(escrow.open, terms, by=payer, value=terms.amount)
    print(m); print(time.time()-t); 
    t=time.time(); kit.world(); print(time.time()-t)
    assert 0
def test_at(escrow, terms, payer):
    m = kit.accepted(escrow.open, terms, by=payer, value=terms.amount, at=kit.now()+100)
    print(m.second, kit.now())
    m = kit.accepted(escrow.refund, terms, by=payer, at=terms.deadline+1)
    print(m.second, kit.now(), terms.deadline)
    m=kit.accepted(escrow.withdraw, kit.NATIVE, payer, by=payer)
    print(m)
    assert 0
@refuses("Escrow.refund", "Escrow_DeadlineNotPassed")
def test_at2(escrow, open_call, payer):
    kit.refused(escrow.refund, open_call, by=payer, at=open_call.deadline, error="Escrow_DeadlineNotPassed", details=[open_call.deadline,open_call.deadline])
@refuses("Escrow.withdraw", "Escrow_NothingToWithdraw")
def test_w(escrow, open_call, payer):
    kit.refused(escrow.withdraw, kit.NATIVE, payer, by=payer, error="Escrow_NothingToWithdraw", details=[payer.address, kit.NATIVE])
