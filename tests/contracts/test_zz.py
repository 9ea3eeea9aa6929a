def test_x(accounts, ListingRegistry):
    r = ListingRegistry.deploy({"from": accounts[0]})
    assert r.listingCount()==0
